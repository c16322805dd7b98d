#include "outbound/social/parts.hpp"

#include "domain/post_text.hpp"

namespace carillon::outbound {

post_parts parts_of(const outgoing_post& post, std::size_t limit,
                    const std::function<std::size_t(std::string_view)>& length) {
  post_parts out;
  if (post.is_thread)
    out.texts = split_post_text(post.text, limit, length);
  else
    out.texts.push_back(post.text);
  if (!post.first_comment.empty()) {
    auto comment = split_post_text(post.first_comment, limit, length);
    out.ends_with_comment = comment.size() == 1;
    for (auto& text : comment)
      out.texts.push_back(std::move(text));
  }
  return out;
}

std::string left_out_words(const post_parts& parts, std::size_t part, const failure& why) {
  const auto what = parts.is_comment(part) ? std::string{"The first comment"}
                                           : "Part " + std::to_string(part + 1) + " of "
                                               + std::to_string(parts.texts.size());
  if (why.code == errc::outcome_unknown)
    return what + " was not confirmed by the network and may be public.";
  return what + " was not published: " + why.detail;
}

std::string key_of_part(const std::string& key, std::size_t part) {
  return key.empty() || part == 0 ? key : key + "-part-" + std::to_string(part + 1);
}

bool is_known_visibility(std::string_view text) noexcept {
  return text == "public" || text == "unlisted" || text == "private";
}

} // namespace carillon::outbound
