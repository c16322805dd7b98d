#include "outbound/delivery/mail/mime_writer.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <cstdio>
#include <vector>

#include <openssl/sha.h>

namespace carillon::outbound {

namespace {

constexpr std::string_view crlf = "\r\n";
constexpr std::size_t longest_line = 76;

bool is_atext(char c) {
  constexpr std::string_view others = "!#$%&'*+-/=?^_`{|}~";
  return std::isalnum(static_cast<unsigned char>(c)) != 0
         || others.find(c) != others.npos;
}

bool is_dot_atom(std::string_view text) {
  if (text.empty() || text.front() == '.' || text.back() == '.'
      || text.find("..") != text.npos)
    return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c == '.' || is_atext(c); });
}

bool is_domain(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']'))
    return text.size() > 2
           && std::all_of(text.begin() + 1, text.end() - 1, [](char c) {
                return std::isalnum(static_cast<unsigned char>(c)) != 0
                       || c == '.' || c == ':';
              });
  return is_dot_atom(text)
         && std::all_of(text.begin(), text.end(), [](char c) {
              return std::isalnum(static_cast<unsigned char>(c)) != 0
                     || c == '.' || c == '-';
            });
}

// -- UTF-8 ----------------------------------------------------------------------

/// The length of the well-formed character that `text` begins with, 0 when
/// it begins with none.
std::size_t character_length(std::string_view text) {
  auto byte = [text](std::size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  const auto first = byte(0);
  if (first < 0x80)
    return 1;
  const std::size_t length = first >= 0xf0   ? 4
                             : first >= 0xe0 ? 3
                             : first >= 0xc2 ? 2
                                             : 0;
  if (length == 0 || first > 0xf4 || text.size() < length)
    return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80)
      return 0;
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0)
                        || (first == 0xf0 && byte(1) < 0x90);
  const bool outside = (first == 0xed && byte(1) > 0x9f)
                       || (first == 0xf4 && byte(1) > 0x8f);
  return overlong || outside ? 0 : length;
}

std::string repaired_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto n = character_length(text);
    if (n == 0)
      out += "\ufffd";
    else
      out += text.substr(0, n);
    text.remove_prefix(std::max<std::size_t>(n, 1));
  }
  return out;
}

/// Well-formed, without control characters, one blank at most between words
/// and none at either end.
std::string header_text(std::string_view text) {
  std::string out;
  const auto clean = repaired_utf8(text);
  for (std::string_view rest = clean; !rest.empty();) {
    const auto n = character_length(rest);
    const auto first = static_cast<unsigned char>(rest[0]);
    // C1 controls are 0xc2 0x80 to 0xc2 0x9f.
    const bool blank = first <= 0x20 || first == 0x7f
                       || (first == 0xc2
                           && static_cast<unsigned char>(rest[1]) < 0xa0);
    if (!blank)
      out += rest.substr(0, n);
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
    rest.remove_prefix(n);
  }
  if (out.ends_with(' '))
    out.pop_back();
  return out;
}

// -- headers --------------------------------------------------------------------

std::string base64(std::string_view bytes) {
  constexpr std::string_view digits
    = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto n = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = (group << 8)
              | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k)
      out += k <= n ? digits[(group >> (18 - 6 * k)) & 63] : '=';
  }
  return out;
}

/// RFC 2047 §2: at most 75 characters each, whole characters in each; and so
/// short that the first stands beside the name of its header.
std::vector<std::string> encoded_words(std::string_view text) {
  constexpr std::size_t most_bytes = 39; // 52 in Base64, 12 around it
  std::vector<std::string> out;
  while (!text.empty()) {
    std::size_t n = 0;
    while (n < text.size()) {
      const auto next = std::max<std::size_t>(
        1, character_length(text.substr(n)));
      if (n + next > most_bytes)
        break;
      n += next;
    }
    out.push_back("=?UTF-8?B?" + base64(text.substr(0, n)) + "?=");
    text.remove_prefix(n);
  }
  return out;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (end > 0)
      out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

/// True when the text needs encoded words: not ASCII, could be read as an
/// encoded word, or has a word that does not fit a line.
bool needs_encoding(std::string_view text) {
  std::size_t word = 0;
  for (char c : text) {
    word = c == ' ' ? 0 : word + 1;
    if (static_cast<unsigned char>(c) >= 0x80 || word > 60)
      return true;
  }
  return text.find("=?") != text.npos;
}

/// A header of words that may be folded between any two.
class folded_header {
public:
  explicit folded_header(std::string_view name)
    : text_(name), column_(name.size() + 1) {
    text_ += ':';
  }

  folded_header& word(std::string_view w) {
    if (column_ + 1 + w.size() > longest_line && column_ > 1) {
      text_ += crlf;
      column_ = 0;
    }
    text_ += ' ';
    text_ += w;
    column_ += 1 + w.size();
    return *this;
  }

  folded_header& words(const std::vector<std::string>& all) {
    for (auto& w : all)
      word(w);
    return *this;
  }

  std::string take() {
    return std::move(text_ += crlf);
  }

private:
  std::string text_;
  std::size_t column_;
};

/// A phrase (RFC 5322 §3.2.5): encoded words, or one quoted string.
std::vector<std::string> phrase(std::string_view name) {
  if (needs_encoding(name))
    return encoded_words(name);
  std::string quoted = "\"";
  for (char c : name) {
    if (c == '"' || c == '\\')
      quoted += '\\';
    quoted += c;
  }
  quoted += '"';
  // Folding white space inside a quoted string is part of its meaning, so a
  // long one goes out encoded.
  return quoted.size() > 60 ? encoded_words(name)
                            : std::vector<std::string>{quoted};
}

std::string mailbox_header(std::string_view header, std::string_view name,
                           std::string_view address) {
  folded_header out{header};
  const auto text = header_text(name);
  if (text.empty())
    return out.word(address).take();
  return out.words(phrase(text))
    .word("<" + std::string{address} + ">")
    .take();
}

std::string subject_header(std::string_view subject) {
  const auto text = header_text(subject);
  folded_header out{"Subject"};
  return out.words(needs_encoding(text) ? encoded_words(text)
                                        : words_of(text))
    .take();
}

/// RFC 5322 §3.3, in UTC.
std::string date_header(instant t) {
  constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = std::chrono::floor<std::chrono::days>(t);
  const std::chrono::year_month_day ymd{day};
  const std::chrono::hh_mm_ss time{std::chrono::floor<std::chrono::seconds>(t - day)};
  char text[64];
  std::snprintf(text, sizeof text,
                "Date: %s, %02u %s %04d %02d:%02d:%02d +0000\r\n",
                days[std::chrono::weekday{day}.c_encoding()],
                static_cast<unsigned>(ymd.day()),
                months[static_cast<unsigned>(ymd.month()) - 1],
                static_cast<int>(ymd.year()),
                static_cast<int>(time.hours().count()),
                static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()));
  return text;
}

// -- bodies ---------------------------------------------------------------------

/// Lines without their ends, whichever kind these are.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto end = text.find_first_of("\r\n");
    out.push_back(text.substr(0, end));
    if (end == text.npos)
      break;
    text.remove_prefix(end);
    text.remove_prefix(text.starts_with(crlf) ? 2 : 1);
  }
  return out;
}

/// RFC 2045 §6.7. Characters are kept whole on their line.
std::string quoted_printable(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  const auto clean = repaired_utf8(text);
  std::string out;
  for (auto line : lines_of(clean)) {
    std::size_t column = 0;
    for (std::size_t i = 0; i < line.size();) {
      const auto n = character_length(line.substr(i));
      const char c = line[i];
      const bool last = i + n == line.size();
      const bool blank = c == ' ' || c == '\t';
      const bool plain = n == 1 && c != '=' && c != '\x7f'
                         && (c >= ' ' || c == '\t') && !(blank && last);
      if (column + (plain ? 1 : 3 * n) > longest_line - 1) {
        out += "=\r\n";
        column = 0;
      }
      // "From " and a lone full stop mean something to mailboxes and SMTP.
      const bool literal = plain && !(column == 0 && (c == 'F' || c == '.'));
      const auto width = literal ? 1 : 3 * n;
      if (literal) {
        out += c;
      } else {
        for (char byte : line.substr(i, n)) {
          const auto u = static_cast<unsigned char>(byte);
          out += '=';
          out += digits[u >> 4];
          out += digits[u & 15];
        }
      }
      column += width;
      i += n;
    }
    out += crlf;
  }
  return out;
}

std::string part(std::string_view type, std::string_view body) {
  std::string out = "Content-Type: ";
  out += type;
  out += "; charset=utf-8\r\nContent-Transfer-Encoding: "
         "quoted-printable\r\n\r\n";
  return out + quoted_printable(body);
}

/// Never occurs in quoted-printable text, where `=` is followed by a digit
/// or a line end.
std::string boundary_of(std::string_view message_id) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash{};
  SHA256(reinterpret_cast<const unsigned char*>(message_id.data()),
         message_id.size(), hash.data());
  std::string out = "=_";
  for (std::size_t i = 0; i < 12; ++i) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += digits[hash[i] >> 4];
    out += digits[hash[i] & 15];
  }
  return out;
}

/// Of the web, and nothing in it that could end the header or its brackets.
bool is_plain_url(std::string_view url) noexcept {
  return (url.starts_with("https://") || url.starts_with("http://")) && url.size() <= 900
         && std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < '\x7f' && c != '<' && c != '>'; });
}

failure refused_header(std::string_view what) {
  return {errc::permanent,
          "the mail cannot be written: " + std::string{what}
            + " is not a plain address",
          {},
          {}};
}

} // namespace

bool is_mail_address(std::string_view text) noexcept {
  const auto at = text.rfind('@');
  return at != text.npos && at <= 64 && text.size() <= 254
         && is_dot_atom(text.substr(0, at)) && is_domain(text.substr(at + 1));
}

result<std::string> write_mime(const mail_message& message) {
  if (!is_mail_address(message.from_address))
    return refused_header("the sender's");
  if (!is_mail_address(message.to_address))
    return refused_header("the recipient's");
  if (!is_mail_address(message.message_id))
    return refused_header("the Message-ID");
  auto out = date_header(message.date);
  out += mailbox_header("From", message.from_name, message.from_address);
  out += mailbox_header("To", message.to_name, message.to_address);
  out += subject_header(message.subject);
  out += folded_header{"Message-ID"}
           .word("<" + message.message_id + ">")
           .take();
  if (is_plain_url(message.unsubscribe_url)) {
    out += folded_header{"List-Unsubscribe"}.word("<" + message.unsubscribe_url + ">").take();
    out += "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"; // RFC 8058
  }
  out += "Auto-Submitted: auto-generated\r\n"; // RFC 3834 §5
  out += "MIME-Version: 1.0\r\n";
  if (message.html_body.empty())
    return out + part("text/plain", message.text_body);
  const auto boundary = boundary_of(message.message_id);
  out += "Content-Type: multipart/alternative;\r\n boundary=\"" + boundary
         + "\"\r\n\r\n";
  out += "--" + boundary + "\r\n" + part("text/plain", message.text_body);
  out += "\r\n--" + boundary + "\r\n" + part("text/html", message.html_body);
  out += "\r\n--" + boundary + "--\r\n";
  return out;
}

} // namespace carillon::outbound
