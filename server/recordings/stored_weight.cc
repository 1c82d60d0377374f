#include "server/recordings/stored_weight.h"

#include <fmt/format.h>

#include "server/base/status_macros.h"
#include "server/base/text.h"
#include "server/base/wire.h"
#include "server/recordings/store_format.h"

namespace saed::recordings {
namespace {

constexpr size_t kInPlace = 15;   // bytes of a text that need no memory of their own
constexpr int64_t kBlock = 16;    // what the heap adds to each piece
constexpr size_t kLongName = 60;  // bytes of a part's name that are shown

class Scale {
 public:
  explicit Scale(std::string_view bytes) : in_(bytes), magic_(in_.TextView()) {
    if (magic_ != kThirdMagic) return;
    // The members come behind the spikes.
    const auto at = in_.Value<uint64_t>();
    in_ = WireReader(at <= bytes.size() ? bytes.substr(at) : std::string_view());
  }

  absl::StatusOr<StoredWeight> Weigh() {
    const bool second = magic_ != kFirstMagic;
    Text();  // source
    in_.Value<double>();
    in_.Value<double>();
    const uint64_t units = Units(second);
    UnitColumns(units);
    Table();
    EndPart("electrodes");
    for (uint64_t n = in_.Count(32); n > 0 && !in_.failed(); --n) Intervals();
    for (uint64_t n = in_.Count(40); n > 0 && !in_.failed(); --n) Series();
    in_.Value<double>();
    in_.Value<uint8_t>();
    in_.Value<int64_t>();
    if (second) {
      for (uint64_t n = 0; n <= units && !in_.failed(); ++n) Add(2 * Bytes<double>());
    }
    EndPart("observed times");
    const auto counts = in_.Value<uint64_t>();
    if (in_.failed()) return absl::DataLossError("the stored recording is damaged");
    // What comes last stays in the file where it is large.
    const size_t kept = counts > 0 ? kCountsInMemory : kSpikesInMemory;
    if (magic_ != kThirdMagic && in_.rest() <= kept)
      out_.last_bytes = static_cast<int64_t>(in_.rest());
    Add(out_.last_bytes);
    EndPart(counts > 0 ? "counts" : "spikes");
    return out_;
  }

 private:
  void Add(int64_t bytes) { part_ += bytes; }

  void EndPart(std::string_view name) {
    out_.bytes += part_;
    if (part_ > out_.largest_bytes) {
      out_.largest_bytes = part_;
      out_.largest = ValidUtf8(name);
    }
    part_ = 0;
  }

  std::string_view Text() {
    const std::string_view text = in_.TextView();
    Add(sizeof(std::string));
    if (text.size() > kInPlace) Add(static_cast<int64_t>(text.size()) + kBlock);
    return text;
  }

  template <class T>
  int64_t Bytes() {
    return static_cast<int64_t>(in_.SkipArray<T>() * sizeof(T)) + kBlock;
  }

  void Texts() {
    Add(sizeof(recordings::Texts) + kBlock);
    for (uint64_t n = in_.Count(8); n > 0 && !in_.failed(); --n) Text();
  }

  uint64_t Units(bool second) {
    const uint64_t units = in_.Count(40);
    for (uint64_t n = 0; n < units && !in_.failed(); ++n) {
      Add(sizeof(Unit));
      in_.Value<int64_t>();
      Text();
      Text();
      in_.Value<double>();
      if (second) {
        in_.Value<uint64_t>();
      } else {
        Add(Bytes<double>());
      }
    }
    EndPart("units");
    return units;
  }

  std::string_view Table() {
    const std::string_view name = Text();
    for (uint64_t n = in_.Count(17); n > 0 && !in_.failed(); --n) {
      Add(sizeof(Column));
      Text();
      const auto tag = in_.Value<uint8_t>();
      if (tag == 0) {
        Add(Bytes<double>());
      } else if (tag == 1) {
        Texts();
      } else {
        for (uint64_t lists = in_.Count(8); lists > 0 && !in_.failed(); --lists) Texts();
      }
    }
    return name;
  }

  // The rows of the units that are stored hold all columns once more.
  void UnitColumns(uint64_t units) {
    const size_t before = in_.rest();
    Table();
    Add(static_cast<int64_t>(2 * (before - in_.rest())) + static_cast<int64_t>(units) * kBlock);
    EndPart("columns of the units");
  }

  void Intervals() {
    Add(sizeof(IntervalTable));
    const std::string_view name = Table();
    Add(Bytes<double>() + Bytes<double>());
    EndPart(fmt::format("table '{}'", name.substr(0, kLongName)));
  }

  void Series() {
    Add(sizeof(recordings::Series));
    const std::string_view name = Text();
    Text();
    Texts();
    Add(Bytes<double>() + Bytes<double>());
    EndPart(fmt::format("series '{}'", name.substr(0, kLongName)));
  }

  WireReader in_;
  std::string_view magic_;
  int64_t part_ = 0;
  StoredWeight out_;
};

}  // namespace

absl::StatusOr<StoredWeight> WeighStored(const std::string& path) {
  SAED_ASSIGN_OR_RETURN(const auto file, CountFile::Open(path, 0));
  const std::string_view bytes(reinterpret_cast<const char*>(file->data()), file->size());
  auto weight = Scale(bytes).Weigh();
  file->Release();
  return weight;
}

}  // namespace saed::recordings
