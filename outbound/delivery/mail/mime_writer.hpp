// One mail as the bytes of RFC 5322 and MIME, the same for every transport.
#pragma once

#include <string>
#include <string_view>

#include "domain/ports/mail_transport.hpp"
#include "domain/result.hpp"

namespace carillon::outbound {

/// Headers and a multipart/alternative body (text, then HTML; only text when
/// there is no HTML), lines of at most 78 characters (an address that is longer
/// stands alone on its line), CRLF everywhere, pure ASCII. The same message
/// always gives the same bytes.
///
/// Nothing in a name, subject or body can add a header: control characters
/// become blanks (of which one remains in a row) and other characters travel as encoded words (RFC 2047) or
/// quoted-printable. Addresses and the Message-ID are not repaired:
/// errc::permanent when one is not a plain ASCII `local@domain`. An
/// unsubscribe_url that is no plain web address is left out.
result<std::string> write_mime(const mail_message& message);

/// True for a dot-atom, `@`, and a domain or a bracketed literal, within the
/// lengths of RFC 5321 §4.5.3.1. Quoted local parts are refused.
bool is_mail_address(std::string_view text) noexcept;

} // namespace carillon::outbound
