#include "tests/e2e/chaos/publish_judge.hpp"

#include <algorithm>
#include <tuple>

namespace carillon::test {

namespace {

/// Targets and posts that cannot be told apart from outside.
struct same_words {
  int certain = 0;
  int possible = 0;
  std::vector<instant> dues; ///< Of the possible ones that claim no post.
  std::map<std::string, instant> claimed; ///< By the post's id, when it was due.
  std::vector<const seen_post*> posts;
};

using words_key = std::tuple<std::string, std::string, std::string>;

void weigh(same_words& words, network_verdict& out) {
  const auto there = static_cast<int>(words.posts.size());
  out.at_network += there;
  out.lost += std::max(0, words.certain - there);
  out.doubled += std::max(0, there - words.possible);
  auto claimed = words.claimed;
  std::vector<instant> others;
  for (const auto* p : words.posts) {
    const auto owner = claimed.find(p->id);
    if (owner == claimed.end()) {
      others.push_back(p->created_at);
      continue;
    }
    out.early += p->created_at < owner->second ? 1 : 0;
    claimed.erase(owner);
  }
  out.strange += static_cast<int>(claimed.size());
  std::sort(words.dues.begin(), words.dues.end());
  std::sort(others.begin(), others.end());
  for (std::size_t i = 0; i < std::min(words.dues.size(), others.size()); ++i)
    out.early += others[i] < words.dues[i] ? 1 : 0;
}

} // namespace

std::map<std::string, network_verdict> judge(const std::vector<judged_target>& targets,
                                             const std::vector<seen_post>& seen) {
  std::map<std::string, network_verdict> out;
  std::map<words_key, same_words> all;
  for (const auto& t : targets) {
    auto& verdict = out[t.network];
    auto& words = all[{t.network, t.account, t.text}];
    ++verdict.targets;
    const bool published = t.status == "published";
    const bool failed = t.status == "failed";
    if (published) {
      ++verdict.published;
      ++words.certain;
      if (!words.claimed.emplace(t.external_id, t.due).second)
        ++verdict.strange;
    } else if (failed) {
      ++verdict.failed[t.error_code];
    } else {
      ++verdict.open;
    }
    if (!failed || t.error_code == "OUTCOME_UNKNOWN") {
      ++words.possible;
      if (!published)
        words.dues.push_back(t.due);
    }
  }
  for (const auto& p : seen)
    all[{p.network, p.account, p.text}].posts.push_back(&p);
  for (auto& [key, words] : all) {
    network_verdict alone;
    weigh(words, alone);
    auto& verdict = out[std::get<0>(key)];
    if (!alone.is_clean())
      verdict.suspects.emplace(std::get<1>(key), std::get<2>(key));
    verdict.at_network += alone.at_network;
    verdict.lost += alone.lost;
    verdict.doubled += alone.doubled;
    verdict.early += alone.early;
    verdict.strange += alone.strange;
  }
  return out;
}

} // namespace carillon::test
