// What every gateway promises, whatever its network speaks (domain/ports/
// social_gateway.hpp). A new network is one more line at the end.
#include <fstream>
#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "outbound/social/bluesky/bluesky_gateway.hpp"
#include "outbound/social/mastodon/mastodon_gateway.hpp"
#include "tests/integration/outbound/sandbox_server.hpp"
#include "tests/support/scratch_folder.hpp"
#include "tests/support/scripted_server.hpp"

namespace carillon::outbound {

namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

struct gateway_case {
  std::string name;
  network platform;
  /// The id of the sandbox's account of that name.
  std::string (*account_id)(const std::string& name);
  std::shared_ptr<social_gateway> (*make)(http_client& http, const clock_port& clock, http_client* uploads);
  std::size_t most_characters;
};

class GatewayConformanceTest : public ::testing::TestWithParam<gateway_case> {
protected:
  ~GatewayConformanceTest() override {
    // Calls that hang are given up with their connections.
    loop.stop();
  }

  account_credentials account(const std::string& name = "acme") {
    return account_at(network.url(), name);
  }
  static account_credentials account_at(const std::string& url, const std::string& name = "acme") {
    return {GetParam().platform, url, GetParam().account_id(name), "sandbox-" + name};
  }

  outgoing_post post(std::string text = "Hello", std::string key = "key-1") {
    outgoing_post out;
    out.account = account();
    out.text = std::move(text);
    out.idempotency_key = std::move(key);
    out.made_at = made_at;
    out.timeout = 30s;
    return out;
  }

  result<public_post> publish(outgoing_post what) {
    return test::wait_for<result<public_post>>([&](auto done) { gateway->publish(std::move(what), done); });
  }

  result<std::vector<public_post>> find(outgoing_post what) {
    return test::wait_for<result<std::vector<public_post>>>(
      [&](auto done) { gateway->find_published(std::move(what), clock.now() - 120s, 30s, done); });
  }

  early_upload early(outgoing_media media) {
    return {account(), {}, std::move(media), 30s};
  }
  result<std::string> prepare(early_upload what) {
    return test::wait_for<result<std::string>>([&](auto done) { gateway->prepare_media(std::move(what), done); });
  }
  outgoing_media prepared(const std::string& alt_text) {
    outgoing_media out{picture(), "image/png", alt_text};
    const auto reference = prepare(early(out));
    EXPECT_TRUE(reference) << (reference ? "" : reference.error().detail);
    out.reference = reference.value_or(std::string{});
    out.path = (folder.path() / "gone.png").string();
    return out;
  }
  int calls_so_far() {
    return network.call("GET", "/sandbox/stats")["calls"].get<int>();
  }

  template <class T>
  static failure failure_of(const result<T>& r) {
    EXPECT_FALSE(r);
    return r ? failure{} : r.error();
  }

  std::string picture() {
    const auto file = folder.path() / "picture.png";
    const std::string bytes{"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde", 33};
    std::ofstream{file, std::ios::binary} << bytes;
    return file.string();
  }

  test::manual_clock clock;
  const instant made_at = clock.now() - 24h;
  test::scratch_folder folder;
  curl_loop loop;
  http_client http{loop};
  // Its own loop, which a test may leave full of calls that hang.
  curl_loop operator_loop;
  http_client operator_http{operator_loop};
  test::sandbox_server network{operator_http, clock};
  std::shared_ptr<social_gateway> gateway = GetParam().make(http, clock, nullptr);
};

TEST_P(GatewayConformanceTest, APostIsPublicWithIdAddressTextAndTimeAndIsFoundAgain) {
  const auto published = publish(post("Grüße 🔔 & <b>more</b>\n\nhttps://example.com/a?b=c#d #Tag"));
  ASSERT_TRUE(published) << published.error().detail;
  EXPECT_THAT(published->id, Not(IsEmpty()));
  EXPECT_THAT(published->url, ::testing::StartsWith("http"));
  EXPECT_THAT(published->left_out, IsEmpty());
  EXPECT_LE(std::chrono::abs(published->created_at - clock.now()), 1s);
  const auto found = find(post("Grüße 🔔 & <b>more</b>\n\nhttps://example.com/a?b=c#d #Tag"));
  ASSERT_TRUE(found) << found.error().detail;
  ASSERT_THAT(*found, SizeIs(1));
  EXPECT_EQ(found->at(0).id, published->id);
  EXPECT_EQ(found->at(0).url, published->url);
  EXPECT_EQ(found->at(0).text, published->text);
}

TEST_P(GatewayConformanceTest, ARepeatOfTheSameKeyIsHarmless) {
  const auto first = publish(post("Once", "same"));
  clock.advance(5s);
  const auto second = publish(post("Once", "same"));
  ASSERT_TRUE(first && second) << (first ? second : first).error().detail;
  EXPECT_EQ(first->id, second->id);
  EXPECT_EQ(network.accepted(), 1);
}

TEST_P(GatewayConformanceTest, TwoPostsWithTheSameTextAreTwo) {
  const auto first = publish(post("Good morning", "monday"));
  const auto second = publish(post("Good morning", "tuesday"));
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->id, second->id);
  EXPECT_EQ(network.accepted(), 2);
  const auto found = find(post("Good morning", "tuesday"));
  ASSERT_TRUE(found);
  EXPECT_THAT(*found, ::testing::Contains(::testing::Field(&public_post::id, second->id)));
}

TEST_P(GatewayConformanceTest, TooManyRequestsSayWhenToComeBackAndNothingIsPublished) {
  network.misbehave({{"rate_429", 1}, {"retry_after", 17}});
  const auto f = failure_of(publish(post()));
  EXPECT_EQ(f.code, errc::throttled);
  EXPECT_EQ(f.retry_after, 17s);
  EXPECT_EQ(network.accepted(), 0);
}

TEST_P(GatewayConformanceTest, AServerErrorMayHideAnAcceptedPost) {
  network.misbehave({{"rate_5xx", 1}, {"status_5xx", 500}});
  EXPECT_EQ(failure_of(publish(post("never", "1"))).code, errc::outcome_unknown);
  EXPECT_EQ(network.accepted(), 0);
  network.misbehave({{"accept_then_5xx", 1}, {"status_5xx", 502}, {"error_html", true}});
  EXPECT_EQ(failure_of(publish(post("taken", "2"))).code, errc::outcome_unknown);
  EXPECT_EQ(network.accepted(), 1);
  // What a proxy says that lost its server after it had the request.
  network.misbehave({{"accept_then_5xx", 1}, {"status_5xx", 503}, {"error_html", true}});
  EXPECT_EQ(failure_of(publish(post("taken as well", "3"))).code, errc::outcome_unknown);
  EXPECT_EQ(network.accepted(), 2);
}

TEST_P(GatewayConformanceTest, AnUnknownOutcomeIsSettledByReadingBackAndTheCallIsNeverRepeated) {
  network.misbehave({{"accept_then_drop", 1}, {"ignore_idempotency_keys", true}});
  EXPECT_EQ(failure_of(publish(post("Taken", "taken"))).code, errc::outcome_unknown);
  network.misbehave({{"drop_before_accept", 1}});
  EXPECT_EQ(failure_of(publish(post("Lost", "lost"))).code, errc::outcome_unknown);
  network.misbehave(json::object());
  const auto taken = find(post("Taken", "taken"));
  ASSERT_TRUE(taken) << taken.error().detail;
  EXPECT_THAT(*taken, SizeIs(1));
  const auto lost = find(post("Lost", "lost"));
  ASSERT_TRUE(lost) << lost.error().detail;
  EXPECT_THAT(*lost, IsEmpty());
  EXPECT_EQ(network.accepted(), 1);
  ASSERT_TRUE(publish(post("Lost", "lost")));
  EXPECT_EQ(network.accepted(), 2);
}

TEST_P(GatewayConformanceTest, SilenceAfterTheRequestLeavesTheOutcomeUnknownAtTheTimeout) {
  network.misbehave({{"accept_then_hang", 1}, {"hang_ms", 600'000}});
  auto slow = post("Taken");
  slow.timeout = 1s;
  EXPECT_EQ(failure_of(publish(slow)).code, errc::outcome_unknown);
  EXPECT_EQ(network.accepted(), 1);
}

TEST_P(GatewayConformanceTest, APostThatIsNotVisibleYetIsNotFoundAndLaterIs) {
  network.misbehave({{"visibility_delay_ms", 5'000}, {"accept_then_drop", 1}});
  EXPECT_EQ(failure_of(publish(post("Late"))).code, errc::outcome_unknown);
  const auto early = find(post("Late"));
  ASSERT_TRUE(early) << early.error().detail;
  EXPECT_THAT(*early, IsEmpty());
  clock.advance(6s);
  const auto late = find(post("Late"));
  ASSERT_TRUE(late) << late.error().detail;
  EXPECT_THAT(*late, SizeIs(1));
}

TEST_P(GatewayConformanceTest, ASecretThatIsNotKnownIsUnauthorizedAndNeverTold) {
  auto stranger = post();
  stranger.account.access_token = "sandbox-somebody-else-entirely!";
  const auto f = failure_of(publish(stranger));
  EXPECT_EQ(f.code, errc::unauthorized) << f.detail;
  EXPECT_THAT(f.detail, Not(HasSubstr("somebody-else")));
  EXPECT_EQ(network.accepted(), 0);
}

TEST_P(GatewayConformanceTest, ATextThatIsTooLongIsRefusedInNumbersBeforeItIsSent) {
  const auto most = GetParam().most_characters;
  ASSERT_TRUE(publish(post(std::string(most, 'x'), "fits")));
  const auto f = failure_of(publish(post(std::string(most + 1, 'x'), "too-long")));
  EXPECT_EQ(f.code, errc::permanent);
  EXPECT_THAT(f.detail, AllOf(HasSubstr(std::to_string(most + 1)), HasSubstr(std::to_string(most))));
  EXPECT_EQ(network.call("GET", "/sandbox/stats")["publish_calls"], 1);
}

TEST_P(GatewayConformanceTest, ATextIsCountedAsPeopleCountIt) {
  std::string families;
  for (int i = 0; i < 60; ++i)
    families += "👩‍👩‍👧";
  ASSERT_TRUE(publish(post(families)));
}

TEST_P(GatewayConformanceTest, PicturesArePublishedInOrderWithTheirDescriptions) {
  auto with_pictures = post("With pictures");
  with_pictures.media = {{picture(), "image/png", "A bell"}, {picture(), "image/png", ""}};
  const auto published = publish(with_pictures);
  ASSERT_TRUE(published) << published.error().detail;
  const auto media = network.posts()[0]["media"];
  ASSERT_THAT(media, SizeIs(2));
  EXPECT_EQ(media[0]["description"], "A bell");
  EXPECT_EQ(media[1]["description"], "");
  EXPECT_EQ(media[0]["mime_type"], "image/png");
}

TEST_P(GatewayConformanceTest, AFileThatIsNotThereMayComeBackAndNothingIsPublished) {
  auto with_picture = post();
  with_picture.media = {{(folder.path() / "missing.png").string(), "image/png", ""}};
  const auto f = failure_of(publish(with_picture));
  EXPECT_EQ(f.code, errc::not_found);
  EXPECT_THAT(f.detail, Not(HasSubstr(folder.path().string())));
  EXPECT_EQ(failure_of(prepare(early(with_picture.media[0]))).code, errc::not_found);
  EXPECT_EQ(network.accepted(), 0);
}

TEST_P(GatewayConformanceTest, WhatWasPreparedIsPublishedWithOneCallInItsOrderAndWithItsDescriptions) {
  EXPECT_GT(gateway->keeps_media(), 10min);
  auto with_pictures = post("Prepared");
  with_pictures.media = {prepared("A bell"), prepared("Another bell")};
  EXPECT_EQ(network.accepted(), 0) << "preparing publishes nothing";
  const auto before = calls_so_far();
  const auto published = publish(with_pictures);
  ASSERT_TRUE(published) << published.error().detail;
  EXPECT_THAT(published->left_out, IsEmpty());
  EXPECT_EQ(calls_so_far(), before + 1);
  const auto media = network.posts()[0]["media"];
  ASSERT_THAT(media, SizeIs(2));
  EXPECT_EQ(media[0]["description"], "A bell");
  EXPECT_EQ(media[1]["description"], "Another bell");
}

TEST_P(GatewayConformanceTest, WhatCouldNotBePreparedIsUploadedWithThePost) {
  auto with_pictures = post("Partly prepared");
  with_pictures.media = {{picture(), "image/png", "First"}, prepared("Second")};
  const auto published = publish(with_pictures);
  ASSERT_TRUE(published) << published.error().detail;
  const auto media = network.posts()[0]["media"];
  ASSERT_THAT(media, SizeIs(2));
  EXPECT_EQ(media[0]["description"], "First");
  EXPECT_EQ(media[1]["description"], "Second");
}

TEST_P(GatewayConformanceTest, WhatTheNetworkHasForgottenIsUploadedAgainInTheSameCall) {
  auto with_picture = post("Forgotten");
  with_picture.media = {prepared("A bell")};
  with_picture.media[0].path = picture();
  network.call("POST", "/sandbox/reset");
  const auto published = publish(with_picture);
  ASSERT_TRUE(published) << published.error().detail;
  EXPECT_THAT(published->left_out, IsEmpty());
  EXPECT_EQ(network.accepted(), 1);
  EXPECT_THAT(network.posts()[0]["media"], SizeIs(1));
  EXPECT_EQ(network.call("GET", "/sandbox/stats")["publish_calls"], 2);
}

TEST_P(GatewayConformanceTest, AReferenceThatIsNoneIsUploadedLikeAnyOtherFile) {
  const std::vector<std::string> odd{"{}", "\r\nX: y", R"({"$type":"blob","ref":{"$link":7}})", "12345678901234567890123"};
  for (std::size_t i = 0; i < odd.size(); ++i) {
    auto with_picture = post("Odd " + std::to_string(i), "odd-" + std::to_string(i));
    with_picture.media = {{picture(), "image/png", "A bell", odd[i]}};
    const auto published = publish(with_picture);
    EXPECT_TRUE(published) << odd[i];
  }
  for (const auto& one : network.posts())
    EXPECT_THAT(one["media"], SizeIs(1)) << one.dump();
  EXPECT_EQ(network.accepted(), 4);
}

TEST_P(GatewayConformanceTest, PreparingFailsAsPublishingDoesAndIsNeverUnknown) {
  auto stranger = early({picture(), "image/png", ""});
  stranger.account.access_token = "sandbox-somebody-else-entirely!";
  EXPECT_EQ(failure_of(prepare(stranger)).code, errc::unauthorized);
  auto nowhere = early({picture(), "image/png", ""});
  nowhere.account = account_at("http://127.0.0.1:" + std::to_string(test::closed_port()));
  EXPECT_EQ(failure_of(prepare(nowhere)).code, errc::transient);
  test::scripted_server silent{[](test::scripted_exchange& e) { e.hang(); }};
  auto stuck = early({picture(), "image/png", ""});
  stuck.account = account_at(silent.url());
  stuck.timeout = 300ms;
  EXPECT_EQ(failure_of(prepare(stuck)).code, errc::transient);
  auto late = early({picture(), "image/png", ""});
  late.timeout = 0ms;
  EXPECT_EQ(failure_of(prepare(late)).code, errc::transient);
}

TEST_P(GatewayConformanceTest, ADiskThatHangsHoldsUpOnlyThePostsWithFilesAndThoseNoLongerThanTheirTime) {
  std::promise<void> comes_back;
  const auto back = comes_back.get_future().share();
  curl_loop reading;
  http_client_options from_the_disk;
  from_the_disk.find_file = [back](const std::string& path) -> result<std::string> {
    back.wait();
    return path;
  };
  http_client uploads{reading, from_the_disk};
  const auto careful = GetParam().make(http, clock, &uploads);
  auto with_picture = post("With a file", "file");
  with_picture.media = {{picture(), "image/png", ""}};
  with_picture.timeout = 1s;
  std::promise<result<public_post>> ended;
  careful->publish(with_picture, [&](result<public_post> r) { ended.set_value(std::move(r)); });
  const auto text = test::wait_for<result<public_post>>([&](auto done) { careful->publish(post("Only text", "text"), done); });
  EXPECT_TRUE(text) << text.error().detail;
  EXPECT_EQ(failure_of(ended.get_future().get()).code, errc::transient);
  comes_back.set_value();
  EXPECT_EQ(network.accepted(), 1);
  with_picture.timeout = 30s;
  const auto later = test::wait_for<result<public_post>>([&](auto done) { careful->publish(with_picture, done); });
  EXPECT_TRUE(later) << later.error().detail;
  reading.stop();
}

std::string long_text() {
  std::string out;
  for (int i = 1; i <= 40; ++i)
    out += "This is sentence number " + std::to_string(i) + " of a long story. ";
  return out;
}

TEST_P(GatewayConformanceTest, AThreadIsAChainOfAnswersThatHoldsTheWholeText) {
  auto thread = post(long_text());
  thread.is_thread = true;
  thread.first_comment = "And a last word";
  const auto published = publish(thread);
  ASSERT_TRUE(published) << published.error().detail;
  EXPECT_THAT(published->left_out, IsEmpty());
  const auto posts = network.posts();
  ASSERT_GE(posts.size(), 3u);
  std::string all;
  json before;
  for (const auto& part : posts) {
    EXPECT_EQ(part["in_reply_to_id"], before) << part.dump();
    EXPECT_LE(part["text"].get<std::string>().size(), GetParam().most_characters);
    all += (all.empty() ? "" : " ") + part["text"].get<std::string>();
    before = part["id"];
  }
  EXPECT_EQ(all, long_text() + "And a last word");
  // The whole of it again: nothing is doubled.
  const auto again = publish(thread);
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(again->id, published->id);
  EXPECT_EQ(network.accepted(), static_cast<int>(posts.size()));
  const auto found = find(thread);
  ASSERT_TRUE(found) << found.error().detail;
  ASSERT_THAT(*found, SizeIs(1)) << "the answers are not taken for the post";
  EXPECT_EQ(found->at(0).id, published->id);
  EXPECT_THAT(found->at(0).left_out, IsEmpty());
}

TEST_P(GatewayConformanceTest, AFirstCommentThatWasNeverSentIsSeenWhenReadingBack) {
  ASSERT_TRUE(publish(post("The post")));
  auto whole = post("The post");
  whole.first_comment = "The comment";
  const auto found = find(whole);
  ASSERT_TRUE(found) << found.error().detail;
  ASSERT_THAT(*found, SizeIs(1));
  EXPECT_THAT(found->at(0).left_out, HasSubstr("first comment"));
  const auto completed = publish(whole);
  ASSERT_TRUE(completed) << completed.error().detail;
  EXPECT_EQ(completed->id, found->at(0).id);
  EXPECT_EQ(network.accepted(), 2);
}

TEST_P(GatewayConformanceTest, NobodyListeningIsTransient) {
  auto nowhere = post();
  nowhere.account = account_at("http://127.0.0.1:" + std::to_string(test::closed_port()));
  EXPECT_EQ(failure_of(publish(nowhere)).code, errc::transient);
  EXPECT_EQ(failure_of(find(nowhere)).code, errc::transient);
}

TEST_P(GatewayConformanceTest, AServerThatIsDownIsLeftAloneUntilItAnswersAnything) {
  const auto calls = [&] { return network.call("GET", "/sandbox/stats")["publish_calls"].get<int>(); };
  ASSERT_TRUE(publish(post("Before", "before")));
  network.misbehave({{"rate_5xx", 1}, {"status_5xx", 500}});
  for (int i = 0; i < 5; ++i)
    EXPECT_NE(failure_of(publish(post("Down", "down-" + std::to_string(i)))).code, errc::cancelled);
  const auto made = calls();
  const auto held = failure_of(publish(post("Held", "held")));
  EXPECT_EQ(held.code, errc::cancelled);
  ASSERT_TRUE(held.retry_after);
  EXPECT_LE(*held.retry_after, 7s);
  EXPECT_EQ(calls(), made);
  auto last = post("Held", "held");
  last.has_waited_enough = true;
  EXPECT_NE(failure_of(publish(last)).code, errc::cancelled);
  EXPECT_EQ(calls(), made + 1);
  network.misbehave(json::object());
  ASSERT_TRUE(find(post("Held", "held"))) << "reads are made all the same";
  const auto out = publish(post("Held", "held"));
  EXPECT_TRUE(out) << out.error().detail;
  EXPECT_EQ(network.accepted(), 2);
}

TEST_P(GatewayConformanceTest, WhatTheNetworkAskedOfAnAccountCanBeTakenForOthersToKeep) {
  EXPECT_TRUE(gateway->take_learned_rates(account()).is_none());
  network.misbehave({{"rate_429", 1}, {"retry_after", 60}});
  EXPECT_EQ(failure_of(publish(post())).code, errc::throttled);
  const auto wait = gateway->take_learned_rates(account());
  EXPECT_GT(wait.calls_wait, 30s);
  EXPECT_LE(wait.calls_wait, 60s);
  EXPECT_TRUE(gateway->take_learned_rates(account()).is_none()) << "once";
  EXPECT_TRUE(gateway->take_learned_rates(account("rival")).is_none());
  EXPECT_EQ(failure_of(publish(post("Later", "later"))).code, errc::cancelled);
}

TEST_P(GatewayConformanceTest, AnAddressThatCanNeverWorkIsPermanent) {
  for (const auto* url : {"", "ftp://m.example", "file:///etc", "http://user:secret@127.0.0.1", "http://m.example\r\nX: y"}) {
    auto odd = post();
    odd.account = account_at(url);
    EXPECT_EQ(failure_of(publish(odd)).code, errc::permanent) << url;
  }
}

TEST_P(GatewayConformanceTest, AVisibilityThatTheNetworkDoesNotKnowIsRefused) {
  auto odd = post();
  odd.visibility = "martians";
  EXPECT_EQ(failure_of(publish(odd)).code, errc::permanent);
  auto for_all = post();
  for_all.visibility = "public";
  EXPECT_TRUE(publish(for_all));
  EXPECT_EQ(network.accepted(), 1);
}

TEST_P(GatewayConformanceTest, WithTooLittleTimeNothingIsSent) {
  auto late = post();
  late.timeout = 0ms;
  EXPECT_EQ(failure_of(publish(late)).code, errc::transient);
  EXPECT_EQ(network.accepted(), 0);
}

TEST_P(GatewayConformanceTest, ACallWhoseTurnNeverCameUsesUpNoTry) {
  test::scripted_server silent{[](test::scripted_exchange& e) { e.hang(); }};
  curl_loop narrow{{.max_running_per_host = 1}};
  http_client one_at_a_time{narrow};
  const auto busy = GetParam().make(one_at_a_time, clock, nullptr);
  auto stuck = post("Stuck", "stuck");
  stuck.account = account_at(silent.url());
  busy->publish(stuck, [](const result<public_post>&) {});
  auto next = post("Next", "next");
  next.account = account_at(silent.url(), "rival");
  next.timeout = 300ms;
  const auto held = failure_of(
    test::wait_for<result<public_post>>([&](auto done) { busy->publish(std::move(next), done); }));
  EXPECT_EQ(held.code, errc::cancelled) << held.detail;
  EXPECT_TRUE(held.retry_after);
  narrow.stop();
}

TEST_P(GatewayConformanceTest, EveryCallIsAnsweredOnceWhenTheLoopStops) {
  test::scripted_server silent{[](test::scripted_exchange& e) { e.hang(); }};
  std::atomic<int> ended{0};
  for (int i = 0; i < 10; ++i) {
    auto stuck = post("x", "key-" + std::to_string(i));
    stuck.account = account_at(silent.url());
    gateway->publish(stuck, [&](const result<public_post>& r) { ended += r ? 0 : 1; });
    gateway->find_published(stuck, {}, 30s, [&](const result<std::vector<public_post>>& r) { ended += r ? 0 : 1; });
  }
  loop.stop();
  EXPECT_EQ(ended, 20);
}

INSTANTIATE_TEST_SUITE_P(
  Networks, GatewayConformanceTest,
  ::testing::Values(
    gateway_case{"Mastodon", network::mastodon, [](const std::string& name) { return name; },
                 [](http_client& http, const clock_port& clock, http_client* uploads) -> std::shared_ptr<social_gateway> {
                   return std::make_shared<mastodon_gateway>(http, clock, mastodon_options{5ms, 10ms, 3'600s, 5ms},
                                                             std::make_shared<host_circuits>(), uploads);
                 },
                 500},
    gateway_case{"Bluesky", network::bluesky, [](const std::string& name) { return "did:web:sandbox.invalid:" + name; },
                 [](http_client& http, const clock_port& clock, http_client* uploads) -> std::shared_ptr<social_gateway> {
                   return std::make_shared<bluesky_gateway>(http, clock, bluesky_options{10ms, 5ms},
                                                            std::make_shared<host_circuits>(), uploads);
                 },
                 300}),
  [](const auto& info) { return info.param.name; });

} // namespace

} // namespace carillon::outbound
