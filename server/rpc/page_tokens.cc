// Page tokens: what a list goes on from, sealed, so that it tells nothing (how many jobs there are
// of others, say) and is taken from nobody but who was given it, for the same query.
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <memory>

#include "absl/strings/escaping.h"
#include "server/base/faults.h"
#include "server/base/on_behalf.h"
#include "server/rpc/names.h"

namespace saed::rpc {
namespace {

constexpr char kSeparator = '\x1f';
constexpr int kNonce = 12, kTag = 16;  // bytes, of AES-256-GCM
constexpr size_t kBlock = 32;          // bytes; tokens are as long as some whole number of them
constexpr char kEnd = '\x80';          // of the text, before what makes it so long

using Key = std::array<unsigned char, 32>;

// Of this process: a token is worth nothing once the server was started again.
const Key& ProcessKey() {
  static const Key key = [] {
    Key out;
    if (RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) std::abort();
    return out;
  }();
  return key;
}

unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// What a token holds for: who asks, and for what.
std::string Purpose(std::string_view query) {
  const OnBehalf* call = OnBehalf::Current();
  std::string out = call == nullptr ? "" : call->who();
  out += kSeparator;
  return out.append(query);
}

// The text made a whole number of blocks long, so that a token's length does not tell how many
// digits a position among everybody's jobs has.
std::string Padded(std::string text) {
  text += kEnd;
  text.resize((text.size() + kBlock - 1) / kBlock * kBlock, 0);
  return text;
}

// Takes that away again; false where the text was not made by Padded.
bool Unpad(std::string& text) {
  const size_t end = text.find_last_not_of('\0');
  if (end == text.npos || text[end] != kEnd) return false;
  text.resize(end);
  return true;
}

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

Cipher Begun(std::string_view nonce, bool seal, std::string_view purpose) {
  Cipher out(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  int n = 0;
  const bool good = out != nullptr &&
                    EVP_CipherInit_ex(out.get(), EVP_aes_256_gcm(), nullptr, ProcessKey().data(),
                                      Bytes(nonce), seal ? 1 : 0) == 1 &&
                    EVP_CipherUpdate(out.get(), nullptr, &n, Bytes(purpose),
                                     static_cast<int>(purpose.size())) == 1;
  if (!good) std::abort();  // no memory
  return out;
}

std::string Sealed(std::string_view text, std::string_view purpose) {
  std::string out(kNonce, 0), body(text.size(), 0), tag(kTag, 0);
  if (RAND_bytes(Bytes(out), kNonce) != 1) std::abort();
  const Cipher cipher = Begun(out, true, purpose);
  int n = 0;
  if (EVP_CipherUpdate(cipher.get(), Bytes(body), &n, Bytes(text), static_cast<int>(text.size())) !=
          1 ||
      EVP_CipherFinal_ex(cipher.get(), nullptr, &n) != 1 ||
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTag, Bytes(tag)) != 1) {
    std::abort();
  }
  return out + body + tag;
}

// False where it was not sealed here for this purpose.
bool Opened(std::string sealed, std::string_view purpose, std::string& text) {
  if (sealed.size() < kNonce + kTag) return false;
  const size_t size = sealed.size() - kNonce - kTag;
  const std::string_view all = sealed;
  const Cipher cipher = Begun(all.substr(0, kNonce), false, purpose);
  text.assign(size, 0);
  int n = 0;
  return EVP_CipherUpdate(cipher.get(), Bytes(text), &n, Bytes(all.substr(kNonce, size)),
                          static_cast<int>(size)) == 1 &&
         EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTag,
                             Bytes(sealed) + kNonce + size) == 1 &&
         EVP_CipherFinal_ex(cipher.get(), nullptr, &n) == 1;
}

}  // namespace

std::string MakePageToken(std::string_view query, const std::vector<std::string>& key) {
  std::string raw;
  for (const std::string& part : key) raw += kSeparator + part;
  return absl::WebSafeBase64Escape(Sealed(Padded(std::move(raw)), Purpose(query)));
}

absl::StatusOr<std::vector<std::string>> ParsePageToken(std::string_view token,
                                                        std::string_view query, size_t parts) {
  std::vector<std::string> out;
  if (token.empty()) return out;
  std::string sealed, raw;
  if (!absl::WebSafeBase64Unescape(std::string(token), &sealed) ||
      !Opened(std::move(sealed), Purpose(query), raw) || !Unpad(raw)) {
    return InvalidField(
        "page_token",
        "does not belong to this query; repeat the call that gave it, with the same "
        "other fields and as the same user, or leave it empty to begin again, as after a restart "
        "of the server");
  }
  for (size_t at = 0; at < raw.size();) {
    const size_t end = std::min(raw.find(kSeparator, at + 1), raw.size());
    out.push_back(raw.substr(at + 1, end - at - 1));
    at = end;
  }
  if (out.size() != parts) return InvalidField("page_token", "is damaged; begin again without it");
  return out;
}

}  // namespace saed::rpc
