// The model of the sandbox network: no sockets, no clock.
#include "http/sandbox/network.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carillon::http::sandbox {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SandboxNetworkTest : public testing::Test {
protected:
  static draft saying(std::string text, std::string key = {}) {
    draft out;
    out.text = std::move(text);
    out.idempotency_key = std::move(key);
    return out;
  }

  /// By value: what the network returns lives until its next call.
  post publish(draft d, publish_how how = {}, std::string_view by = "acme") {
    auto made = net.publish(by, std::move(d), now, how);
    EXPECT_TRUE(made) << made.error().detail;
    return made ? *made->what : post{};
  }

  failure refusal(draft d, std::string_view by = "acme") {
    auto made = net.publish(by, std::move(d), now);
    EXPECT_FALSE(made);
    return made ? failure{} : made.error();
  }

  std::vector<std::string> texts(const std::vector<const post*>& posts) {
    std::vector<std::string> out;
    for (const auto* p : posts)
      out.push_back(p->text);
    return out;
  }

  std::vector<std::string> listed(const listing& which = {},
                                  std::string_view viewer = {},
                                  const char* of = "acme") {
    const auto* account = net.find_account(of);
    EXPECT_NE(account, nullptr);
    return account ? texts(net.list_account(*account, viewer, which, now))
                   : std::vector<std::string>{};
  }

  static upload png(std::string description = {}) {
    return {"image/png", "a.png", std::move(description),
            "\x89PNG\r\n\x1a\n" + std::string(32, 'x')};
  }

  instant now{std::chrono::sys_days{std::chrono::year{2026} / 2 / 7}};
  network net;
};

TEST_F(SandboxNetworkTest, IdsSortByTimeAlsoAsTextsAndWhenTheClockGoesBack) {
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i)
    ids.push_back(std::to_string(publish(saying("a")).id));
  now += 1ms;
  ids.push_back(std::to_string(publish(saying("b")).id));
  now -= 1h;
  ids.push_back(std::to_string(publish(saying("c")).id));
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
  EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end()), ids.end());
}

TEST_F(SandboxNetworkTest, ListsAnAccountsPostsNewestFirstAndNobodyElses) {
  publish(saying("one"));
  publish(saying("other"), {}, "zenith");
  publish(saying("two"));
  EXPECT_THAT(listed(), ElementsAre("two", "one"));
}

TEST_F(SandboxNetworkTest, PagesBackwardsAndForwards) {
  std::vector<object_id> ids;
  for (const char* text : {"1", "2", "3", "4", "5"})
    ids.push_back(publish(saying(text)).id);
  listing page;
  page.limit = 2;
  EXPECT_THAT(listed(page), ElementsAre("5", "4"));
  page.max_id = ids[3];
  EXPECT_THAT(listed(page), ElementsAre("3", "2"));
  page.max_id = ids[0];
  EXPECT_THAT(listed(page), IsEmpty());
  page = {};
  page.limit = 2;
  page.since_id = ids[1];
  EXPECT_THAT(listed(page), ElementsAre("5", "4"));
  page.since_id = {};
  page.min_id = ids[1];
  EXPECT_THAT(listed(page), ElementsAre("4", "3"));
}

TEST_F(SandboxNetworkTest, CountsCharactersNotBytes) {
  std::string longest;
  for (std::size_t i = 0; i < most_characters; ++i)
    longest += "\U0001F514";
  EXPECT_EQ(publish(saying(longest)).text, longest);
  EXPECT_THAT(refusal(saying(longest + "x")).detail,
              HasSubstr("Text character limit of 500 exceeded"));
}

TEST_F(SandboxNetworkTest, RefusesAnEmptyTextWithoutFiles) {
  for (const char* text : {"", " \n\t"}) {
    const auto f = refusal(saying(text));
    EXPECT_EQ(f.code, errc::invalid_argument);
    EXPECT_THAT(f.detail, HasSubstr("Text can't be blank"));
  }
  EXPECT_EQ(net.counts(now).posts, 0U);
}

TEST_F(SandboxNetworkTest, KeepsTheTextAsItWasPosted) {
  const std::string text = "  <b>&amp;\n\nzwei  ";
  EXPECT_EQ(publish(saying(text)).text, text);
}

// -- idempotency --------------------------------------------------------------

TEST_F(SandboxNetworkTest, ARepeatedKeyAnswersThePostMadeFirst) {
  const auto first = publish(saying("a", "k"));
  const auto again = publish(saying("something else", "k"));
  EXPECT_EQ(again.id, first.id);
  EXPECT_EQ(again.text, "a");
  EXPECT_EQ(again.calls, 2U);
  EXPECT_EQ(net.counts(now).posts, 1U);
  EXPECT_EQ(net.counts(now).idempotent_repeats, 1U);
}

TEST_F(SandboxNetworkTest, AKeyBelongsToItsAccountAndLastsAnHour) {
  const auto first = publish(saying("a", "k"));
  EXPECT_NE(publish(saying("a", "k"), {}, "zenith").id, first.id);
  now += 1h - 1us;
  EXPECT_EQ(publish(saying("a", "k")).id, first.id);
  now += 1us;
  EXPECT_NE(publish(saying("a", "k")).id, first.id);
}

TEST_F(SandboxNetworkTest, IgnoredKeysMakeASecondPost) {
  const auto first = publish(saying("a", "k"), {0ms, true});
  const auto second = publish(saying("a", "k"), {0ms, true});
  EXPECT_NE(second.id, first.id);
  EXPECT_EQ(net.counts(now).duplicates, 1U);
  EXPECT_EQ(publish(saying("a", "k")).id, first.id);
}

TEST_F(SandboxNetworkTest, AKeyOfARefusedPostIsNotUsedUp) {
  refusal(saying("", "k"));
  EXPECT_EQ(publish(saying("better", "k")).text, "better");
}

TEST_F(SandboxNetworkTest, AKeyOfADeletedPostFindsNothing) {
  const auto made = publish(saying("a", "k"));
  ASSERT_TRUE(net.remove("acme", made.id, now));
  EXPECT_EQ(refusal(saying("a", "k")).code, errc::not_found);
}

TEST_F(SandboxNetworkTest, DuplicatesAreTheSameTextBySameAccount) {
  publish(saying("good morning"));
  publish(saying("good morning"), {}, "zenith");
  EXPECT_EQ(net.counts(now).duplicates, 0U);
  publish(saying("good morning"));
  publish(saying("good morning"));
  EXPECT_EQ(net.counts(now).duplicates, 2U);
}

// -- what is seen -------------------------------------------------------------

TEST_F(SandboxNetworkTest, ALatePostIsStoredButShownNowhereUntilItsTime) {
  publish(saying("early"));
  const auto late = publish(saying("late"), {1500ms, false});
  EXPECT_FALSE(late.visible);
  EXPECT_THAT(listed({}, "acme"), ElementsAre("early"));
  EXPECT_THAT(texts(net.list_public({}, now)), ElementsAre("early"));
  EXPECT_EQ(net.find_visible(late.id, "acme", now), nullptr);
  EXPECT_THAT(texts(net.list_not_visible_yet(9, now)), ElementsAre("late"));
  EXPECT_EQ(net.all_posts(now).size(), 2U);

  now += 1500ms - 1us;
  EXPECT_THAT(listed(), ElementsAre("early"));
  now += 1us;
  EXPECT_THAT(listed(), ElementsAre("late", "early"));
  EXPECT_NE(net.find_visible(late.id, {}, now), nullptr);
  EXPECT_THAT(net.list_not_visible_yet(9, now), IsEmpty());
}

TEST_F(SandboxNetworkTest, APostThatBecomesVisibleLateTakesItsPlaceByTime) {
  publish(saying("first"), {5s, false});
  now += 1s;
  publish(saying("second"));
  now += 10s;
  EXPECT_THAT(listed(), ElementsAre("second", "first"));
}

TEST_F(SandboxNetworkTest, PrivatePostsAreForTheirAccountOnly) {
  auto d = saying("for followers");
  d.seen_by = audience::followers;
  const auto made = publish(d);
  EXPECT_THAT(listed(), IsEmpty());
  EXPECT_THAT(listed({}, "zenith"), IsEmpty());
  EXPECT_THAT(listed({}, "acme"), ElementsAre("for followers"));
  EXPECT_EQ(net.find_visible(made.id, "zenith", now), nullptr);
  EXPECT_NE(net.find_visible(made.id, "acme", now), nullptr);
}

TEST_F(SandboxNetworkTest, UnlistedPostsAreOnTheAccountsPageOnly) {
  auto d = saying("quiet");
  d.seen_by = audience::unlisted;
  publish(d);
  EXPECT_THAT(listed(), ElementsAre("quiet"));
  EXPECT_THAT(net.list_public({}, now), IsEmpty());
}

TEST_F(SandboxNetworkTest, RepliesNeedAPostThatIsThere) {
  const auto question = publish(saying("how far?"), {}, "jonas");
  auto d = saying("78 km");
  d.in_reply_to = std::to_string(question.id);
  const auto reply = publish(d);
  EXPECT_EQ(reply.in_reply_to, question.id);
  EXPECT_EQ(net.count_replies(question.id), 1U);
  EXPECT_THAT(texts(net.list_replies(question.id, 9, now)),
              ElementsAre("78 km"));
  for (const char* bad : {"17", "abc", "-1", "99999999999999999999999"}) {
    d.in_reply_to = bad;
    EXPECT_EQ(refusal(d).code, errc::not_found) << bad;
  }
}

TEST_F(SandboxNetworkTest, OnlyTheAccountRemovesItsPostsAndTheyStayCounted) {
  const auto made = publish(saying("oops"));
  EXPECT_EQ(net.remove("zenith", made.id, now).error().code, errc::not_found);
  const auto before = net.remove("acme", made.id, now);
  ASSERT_TRUE(before);
  EXPECT_EQ(before->text, "oops");
  EXPECT_EQ(net.remove("acme", made.id, now).error().code, errc::not_found);
  EXPECT_THAT(listed({}, "acme"), IsEmpty());
  EXPECT_EQ(net.counts(now).posts, 1U);
  EXPECT_EQ(net.counts(now).deleted, 1U);
  EXPECT_TRUE(net.all_posts(now).at(made.id).deleted);
}

TEST_F(SandboxNetworkTest, APostRemovedBeforeItIsVisibleStaysUnseen) {
  const auto late = publish(saying("late"), {5s, false});
  ASSERT_TRUE(net.remove("acme", late.id, now));
  now += 1min;
  EXPECT_THAT(listed({}, "acme"), IsEmpty());
}

TEST_F(SandboxNetworkTest, TheRevisionChangesWithWhatAPageShows) {
  auto before = net.revision(now);
  EXPECT_EQ(net.revision(now), before);
  const auto changes
    = [&] { return std::exchange(before, net.revision(now)) != before; };
  const auto late = publish(saying("late"), {5s, false});
  EXPECT_TRUE(changes());
  now += 5s;
  EXPECT_TRUE(changes());
  net.remove("acme", late.id, now).has_value();
  EXPECT_TRUE(changes());
  net.reset();
  EXPECT_TRUE(changes());
  EXPECT_FALSE(changes());
}

// -- files --------------------------------------------------------------------

TEST_F(SandboxNetworkTest, FilesAreAttachedOnceByTheirAccount) {
  const auto file = net.add_medium("acme", png("A bike"), 0ms, now);
  ASSERT_TRUE(file);
  auto d = saying("look");
  d.media_ids = {std::to_string((*file)->id)};
  EXPECT_EQ(refusal(d, "zenith").code, errc::invalid_argument);
  EXPECT_THAT(publish(d).media, ElementsAre((*file)->id));
  EXPECT_THAT(refusal(d).detail, HasSubstr("already in use"));
  d.media_ids = {"nonsense"};
  EXPECT_EQ(refusal(d).code, errc::invalid_argument);
}

TEST_F(SandboxNetworkTest, ARepeatedKeyDoesNotAskForItsFilesAgain) {
  const auto file = net.add_medium("acme", png(), 0ms, now);
  auto d = saying("look", "k");
  d.media_ids = {std::to_string((*file)->id)};
  EXPECT_EQ(publish(d).id, publish(d).id);
}

TEST_F(SandboxNetworkTest, FilesInProcessingAndMoreThanFourAreRefused) {
  const auto file = net.add_medium("acme", png(), 2s, now);
  auto d = saying("look");
  d.media_ids = {std::to_string((*file)->id)};
  EXPECT_THAT(refusal(d).detail, HasSubstr("not finished processing"));
  now += 2s;
  publish(d);
  d.media_ids.assign(5, "1");
  EXPECT_THAT(refusal(d).detail, HasSubstr("more than 4"));
}

TEST_F(SandboxNetworkTest, OnlyPicturesFilmsAndSoundsAreTaken) {
  EXPECT_FALSE(net.add_medium(
    "acme", {"image/png", "x.png", "", "<html><script>"}, 0ms, now));
  EXPECT_FALSE(
    net.add_medium("acme", {"image/png", "x.png", "", ""}, 0ms, now));
  const auto film
    = net.add_medium("acme", {"video/mp4", "x.mp4", "", "film"}, 0ms, now);
  ASSERT_TRUE(film);
  EXPECT_EQ((*film)->bytes, nullptr);
  auto gif = png();
  gif.bytes = "GIF89a\x02\x00\x01\x00";
  gif.bytes = std::string{"GIF89a\x02\x00\x01\x00", 10};
  const auto picture = net.add_medium("acme", gif, 0ms, now);
  ASSERT_TRUE(picture);
  EXPECT_EQ((*picture)->mime_type, "image/gif") << "by its bytes, not its name";
  EXPECT_EQ((*picture)->width, 2U);
}

// -- bounds -------------------------------------------------------------------

TEST_F(SandboxNetworkTest, TheOldestPostGoesWhenThereIsNoMoreRoom) {
  net = network{{.posts = 3}};
  for (const char* text : {"1", "2", "3", "4"})
    publish(saying(text));
  EXPECT_THAT(listed(), ElementsAre("4", "3", "2"));
  const auto counts = net.counts(now);
  EXPECT_EQ(counts.posts, 4U);
  EXPECT_EQ(counts.kept, 3U);
  EXPECT_EQ(counts.visible, 3U);
}

TEST_F(SandboxNetworkTest, AKeyWhosePostIsGoneNeverMakesASecondOne) {
  net = network{{.posts = 1}};
  publish(saying("a", "k"));
  publish(saying("b"));
  EXPECT_EQ(refusal(saying("a", "k")).code, errc::not_found);
}

TEST_F(SandboxNetworkTest, TheOldestPicturesGoWhenThereIsNoMoreRoom) {
  net = network{{.picture_bytes = 100}};
  std::vector<object_id> ids;
  for (int i = 0; i < 3; ++i)
    ids.push_back((*net.add_medium("acme", png(), 0ms, now))->id);
  EXPECT_EQ(net.find_medium(ids[0])->bytes, nullptr);
  EXPECT_NE(net.find_medium(ids[1])->bytes, nullptr);
  EXPECT_NE(net.find_medium(ids[2])->bytes, nullptr);
}

TEST_F(SandboxNetworkTest, TheOldestFilesGoWhenThereIsNoMoreRoom) {
  net = network{{.media = 2}};
  const auto first = (*net.add_medium("acme", png(), 0ms, now))->id;
  net.add_medium("acme", png(), 0ms, now).has_value();
  net.add_medium("acme", png(), 0ms, now).has_value();
  EXPECT_EQ(net.find_medium(first), nullptr);
  EXPECT_EQ(net.counts(now).media, 2U);
}

TEST_F(SandboxNetworkTest, NoMoreAccountsThanThereIsRoomFor) {
  net = network{{.accounts = 1}};
  publish(saying("a"));
  EXPECT_EQ(refusal(saying("b"), "zenith").code, errc::forbidden);
  EXPECT_EQ(net.counts(now).posts, 1U);
}

TEST_F(SandboxNetworkTest, ResetForgetsEverythingButNeverUsesAnIdTwice) {
  const auto before = publish(saying("a", "k"));
  net.reset();
  EXPECT_EQ(net.counts(now).posts, 0U);
  EXPECT_EQ(net.counts(now).accounts, 0U);
  EXPECT_GT(publish(saying("a", "k")).id, before.id);
}

TEST_F(SandboxNetworkTest, NamesAreShownAsWords) {
  EXPECT_EQ(display_name("acme_europe"), "Acme Europe");
  EXPECT_EQ(display_name("acme-us"), "Acme US");
  EXPECT_EQ(display_name("acct17"), "Acct17");
  EXPECT_EQ(display_name("__"), "__");
}

} // namespace
} // namespace carillon::http::sandbox
