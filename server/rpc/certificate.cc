#include "server/rpc/certificate.h"

#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>

namespace saed::rpc {

absl::StatusOr<int64_t> CertificateExpiry(const std::string& path) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> file(BIO_new_file(path.c_str(), "r"), BIO_free);
  if (!file) return absl::UnavailableError(fmt::format("cannot read {}", path));
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr), X509_free);
  std::tm time{};
  if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &time) != 1) {
    return absl::InvalidArgumentError(fmt::format("there is no certificate in {}", path));
  }
  return timegm(&time);
}

}  // namespace saed::rpc
