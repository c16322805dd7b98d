#include "domain/text.hpp"

namespace carillon {

namespace {

bool starts_character(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
}

} // namespace

std::size_t character_count(std::string_view text) noexcept {
  std::size_t count = 0;
  for (char c : text)
    count += starts_character(c) ? 1 : 0;
  return count;
}

std::string_view first_characters(std::string_view text, std::size_t limit) noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (starts_character(text[i]) && count++ == limit)
      return text.substr(0, i);
  return text;
}

std::string excerpt(std::string_view text, std::string_view placeholder) {
  if (text.empty())
    return std::string{placeholder};
  if (character_count(text) <= 50)
    return std::string{text};
  return std::string{first_characters(text, 47)} + "...";
}

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_valid_utf8(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    std::size_t length = 1;
    unsigned minimum = 0;
    unsigned value = lead;
    if (lead >= 0x80) {
      if ((lead & 0xe0) == 0xc0)
        length = 2, minimum = 0x80, value = lead & 0x1f;
      else if ((lead & 0xf0) == 0xe0)
        length = 3, minimum = 0x800, value = lead & 0x0f;
      else if ((lead & 0xf8) == 0xf0)
        length = 4, minimum = 0x10000, value = lead & 0x07;
      else
        return false;
      if (i + length > text.size())
        return false;
      for (std::size_t k = 1; k < length; ++k) {
        if (starts_character(text[i + k]))
          return false;
        value = (value << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3f);
      }
      if (value < minimum || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return false;
    }
    i += length;
  }
  return true;
}

} // namespace carillon
