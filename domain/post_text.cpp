#include "domain/post_text.hpp"

namespace carillon {

std::string compose_post_text(std::string_view text, const std::vector<std::string>& hashtags,
                              std::string_view link) {
  std::string out{text};
  std::string tags;
  for (const auto& hashtag : hashtags) {
    const auto tag = hashtag.starts_with('#') ? hashtag : '#' + hashtag;
    if (tag.size() > 1 && text.find(tag) == std::string_view::npos)
      tags += (tags.empty() ? "" : " ") + tag;
  }
  auto add_line = [&out](std::string_view line) {
    if (line.empty())
      return;
    if (!out.empty())
      out += "\n\n";
    out += line;
  };
  add_line(tags);
  if (text.find(link) == std::string_view::npos)
    add_line(link);
  return out;
}

} // namespace carillon
