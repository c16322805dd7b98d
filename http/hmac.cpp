#include "http/hmac.hpp"

#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace carillon::http {

std::string hmac_sha256(std::string_view key, std::string_view text) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (!HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
            reinterpret_cast<const unsigned char*>(text.data()), text.size(), out, &size))
    throw std::runtime_error{"HMAC-SHA256 is not available"};
  return {reinterpret_cast<const char*>(out), size};
}

} // namespace carillon::http
