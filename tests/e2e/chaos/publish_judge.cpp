#include "tests/e2e/chaos/publish_judge.hpp"

#include <algorithm>
#include <tuple>

namespace carillon::test {

namespace {

/// Targets and posts that cannot be told apart from outside.
struct same_words {
  int certain = 0;
  int possible = 0;
  std::vector<instant> dues; ///< Of the possible ones.
  std::vector<std::string> claimed;
  std::vector<const seen_post*> posts;
};

using words_key = std::tuple<std::string, std::string, std::string>;

void weigh(same_words& words, network_verdict& out) {
  const auto there = static_cast<int>(words.posts.size());
  out.at_network += there;
  out.lost += std::max(0, words.certain - there);
  out.doubled += std::max(0, there - words.possible);
  std::sort(words.dues.begin(), words.dues.end());
  std::sort(words.posts.begin(), words.posts.end(),
            [](const auto* a, const auto* b) { return a->created_at < b->created_at; });
  for (std::size_t i = 0; i < std::min(words.dues.size(), words.posts.size()); ++i)
    out.early += words.posts[i]->created_at < words.dues[i] ? 1 : 0;
  std::set<std::string> unclaimed;
  for (const auto* p : words.posts)
    unclaimed.insert(p->id);
  for (const auto& id : words.claimed)
    out.strange += unclaimed.erase(id) == 0 ? 1 : 0;
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
      words.claimed.push_back(t.external_id);
    } else if (failed) {
      ++verdict.failed[t.error_code];
    } else {
      ++verdict.open;
    }
    if (!failed || t.error_code == "OUTCOME_UNKNOWN") {
      ++words.possible;
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
