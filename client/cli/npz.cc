#include "client/cli/npz.h"

#include <fmt/format.h>
#include <zlib.h>

namespace saed::cli {
namespace {

constexpr uint64_t kMost = 0xfffffffe;
// Zip: version 2.0, no flags, stored, midnight of 1 January 1980.
constexpr int kVersion = 20, kDay = 0x21;

}  // namespace

void NpzWriter::Put(uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out_.put(static_cast<char>(value >> (8 * i)));
  at_ += bytes;
}

void NpzWriter::Add(const std::string& name, const std::string& descr, int64_t elements,
                    const void* data, size_t bytes) {
  // The .npy header, padded so that the numbers begin at a multiple of 64.
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({},), }}", descr, elements);
  header.resize((header.size() + 10 + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  std::string head("\x93NUMPY\x01\x00", 8);
  head += static_cast<char>(header.size() & 255);
  head += static_cast<char>(header.size() >> 8);
  head += header;
  uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(head.data()), head.size());
  crc = crc32_z(crc, static_cast<const Bytef*>(data), bytes);
  const Entry entry{name + ".npy", static_cast<uint32_t>(crc), head.size() + bytes, at_};
  Put(0x04034b50, 4);
  for (int v : {kVersion, 0, 0, 0, kDay}) Put(v, 2);
  Put(entry.crc, 4);
  Put(entry.size, 4);
  Put(entry.size, 4);
  Put(entry.name.size(), 2);
  Put(0, 2);
  out_ << entry.name << head;
  out_.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
  at_ += entry.name.size() + entry.size;
  entries_.push_back(entry);
}

absl::Status NpzWriter::Finish() {
  if (at_ > kMost) {
    return absl::ResourceExhaustedError("the activations take more than 4 GB; export fewer");
  }
  const uint64_t directory = at_;
  for (const Entry& e : entries_) {
    Put(0x02014b50, 4);
    for (int v : {kVersion, kVersion, 0, 0, 0, kDay}) Put(v, 2);
    Put(e.crc, 4);
    Put(e.size, 4);
    Put(e.size, 4);
    Put(e.name.size(), 2);
    for (int i = 0; i < 4; ++i) Put(0, 2);
    Put(0, 4);
    Put(e.offset, 4);
    out_ << e.name;
    at_ += e.name.size();
  }
  const uint64_t size = at_ - directory;
  Put(0x06054b50, 4);
  Put(0, 4);
  Put(entries_.size(), 2);
  Put(entries_.size(), 2);
  Put(size, 4);
  Put(directory, 4);
  Put(0, 2);
  out_.close();
  return out_ ? absl::OkStatus() : absl::ResourceExhaustedError("the file could not be written");
}

}  // namespace saed::cli
