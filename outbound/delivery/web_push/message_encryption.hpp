// Encryption of push messages: RFC 8291 over RFC 8188's aes128gcm.
#pragma once

#include <string>
#include <string_view>

#include "domain/ports/push_gateway.hpp"
#include "outbound/delivery/web_push/p256.hpp"

namespace carillon::outbound {

/// What one message fits into: push services must take 4,096 bytes of body
/// (RFC 8030 §7.2), of which header, padding mark and tag take 103.
inline constexpr std::size_t max_push_plain = 3'993;

/// The body of a request with `Content-Encoding: aes128gcm`, one record.
/// errc::invalid_argument: the plain text is too long, or the keys are none.
result<std::string> encrypt_push(std::string_view plain, const push_address& to);

/// The same with the sender's key and the salt (16 bytes) given, which must
/// never be used twice: for the vectors of RFC 8291.
result<std::string> encrypt_push(std::string_view plain, const push_address& to, const p256_key& sender,
                                 std::string_view salt);

/// What the browser does. errc::permanent: not ours to read, or changed.
result<std::string> decrypt_push(std::string_view body, const p256_key& receiver, std::string_view auth);

} // namespace carillon::outbound
