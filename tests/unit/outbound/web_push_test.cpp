// Encryption, VAPID and payload of push messages, without a network.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "domain/base64url.hpp"
#include "domain/text.hpp"
#include "outbound/delivery/web_push/message_encryption.hpp"
#include "outbound/delivery/web_push/vapid.hpp"
#include "outbound/delivery/web_push/web_push_gateway.hpp"

namespace carillon::outbound {

namespace {

std::string bytes(std::string_view text) {
  return decode_base64url(text).value();
}

// RFC 8291 appendix A.
constexpr auto vector_plain = "When I grow up, I want to be a watermelon";
constexpr auto vector_sender_private = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
constexpr auto vector_sender_public
  = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";
constexpr auto vector_receiver_private = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94";
constexpr auto vector_receiver_public
  = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
constexpr auto vector_salt = "DGv6ra1nlYgDCS1FRnbzlw";
constexpr auto vector_auth = "BTBZMqHH6r4Tts7J_aSIgg";
constexpr auto vector_body
  = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A"
    "_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";

push_address vector_address() {
  return {"https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV", bytes(vector_receiver_public),
          bytes(vector_auth)};
}

TEST(PushEncryptionTest, TheVectorsOfRfc8291ComeOut) {
  const auto sender = p256_key::from_scalar(bytes(vector_sender_private)).value();
  EXPECT_EQ(encode_base64url(sender.point()), vector_sender_public);
  const auto body = encrypt_push(vector_plain, vector_address(), sender, bytes(vector_salt));
  ASSERT_TRUE(body) << body.error().detail;
  EXPECT_EQ(encode_base64url(*body), vector_body);
}

TEST(PushEncryptionTest, TheReceiverOfTheVectorsReadsThem) {
  const auto receiver = p256_key::from_scalar(bytes(vector_receiver_private)).value();
  EXPECT_EQ(encode_base64url(receiver.point()), vector_receiver_public);
  const auto plain = decrypt_push(bytes(vector_body), receiver, bytes(vector_auth));
  ASSERT_TRUE(plain) << plain.error().detail;
  EXPECT_EQ(*plain, vector_plain);
}

TEST(PushEncryptionTest, EachMessageHasAKeyAndASaltOfItsOwnAndIsRead) {
  const auto receiver = p256_key::generate().value();
  const push_address to{"", receiver.point(), std::string(16, 'a')};
  const auto one = encrypt_push("hello", to).value();
  const auto two = encrypt_push("hello", to).value();
  EXPECT_NE(one.substr(0, 16), two.substr(0, 16)) << "salt";
  EXPECT_NE(one.substr(21, 65), two.substr(21, 65)) << "key";
  EXPECT_EQ(decrypt_push(one, receiver, to.auth).value(), "hello");
  EXPECT_EQ(decrypt_push(two, receiver, to.auth).value(), "hello");
}

TEST(PushEncryptionTest, TheLongestMessageFitsTheBodyThatEveryServiceTakes) {
  const auto receiver = p256_key::generate().value();
  const push_address to{"", receiver.point(), std::string(16, 'a')};
  const auto body = encrypt_push(std::string(max_push_plain, 'x'), to).value();
  EXPECT_EQ(body.size(), 4'096u);
  EXPECT_EQ(decrypt_push(body, receiver, to.auth).value().size(), max_push_plain);
  EXPECT_EQ(encrypt_push(std::string(max_push_plain + 1, 'x'), to).error().code, errc::invalid_argument);
  EXPECT_EQ(decrypt_push(encrypt_push("", to).value(), receiver, to.auth).value(), "");
}

TEST(PushEncryptionTest, KeysThatAreNoneAreInvalid) {
  const auto good = vector_address();
  auto wrong = [&](std::string p256dh, std::string auth) {
    push_address to = good;
    to.p256dh = std::move(p256dh);
    to.auth = std::move(auth);
    const auto body = encrypt_push("x", to);
    return !body && body.error().code == errc::invalid_argument;
  };
  auto off_curve = good.p256dh;
  off_curve[64] = static_cast<char>(off_curve[64] ^ 1);
  auto compressed = good.p256dh;
  compressed[0] = '\x02';
  EXPECT_TRUE(wrong(off_curve, good.auth));
  EXPECT_TRUE(wrong(compressed, good.auth));
  EXPECT_TRUE(wrong("", good.auth));
  EXPECT_TRUE(wrong(good.p256dh + "x", good.auth));
  EXPECT_TRUE(wrong(std::string(65, '\0'), good.auth));
  EXPECT_TRUE(wrong(good.p256dh, ""));
  EXPECT_TRUE(wrong(good.p256dh, std::string(15, 'a')));
  EXPECT_FALSE(wrong(good.p256dh, good.auth));
}

TEST(PushEncryptionTest, AChangedMessageIsNotRead) {
  const auto receiver = p256_key::from_scalar(bytes(vector_receiver_private)).value();
  const auto body = bytes(vector_body);
  for (std::size_t i = 0; i < body.size(); ++i) {
    auto changed = body;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(decrypt_push(changed, receiver, bytes(vector_auth))) << i;
  }
  EXPECT_FALSE(decrypt_push(body, receiver, std::string(16, 'a')));
  EXPECT_FALSE(decrypt_push(body.substr(0, body.size() - 1), receiver, bytes(vector_auth)));
  EXPECT_FALSE(decrypt_push("", receiver, bytes(vector_auth)));
}

TEST(P256KeyTest, OnlyScalarsBelowTheOrderAreKeys) {
  EXPECT_FALSE(p256_key::from_scalar(""));
  EXPECT_FALSE(p256_key::from_scalar(std::string(31, '\x01')));
  EXPECT_FALSE(p256_key::from_scalar(std::string(33, '\x01')));
  EXPECT_FALSE(p256_key::from_scalar(std::string(32, '\0')));
  EXPECT_FALSE(p256_key::from_scalar(std::string(32, '\xff')));
  const auto key = p256_key::from_scalar(std::string(31, '\0') + '\x01');
  ASSERT_TRUE(key);
  EXPECT_EQ(key->scalar(), std::string(31, '\0') + '\x01') << "leading zeros stay";
  EXPECT_TRUE(is_p256_point(key->point()));
}

class VapidTest : public ::testing::Test {
protected:
  /// Header, claims and signature of a `vapid t=…, k=…`.
  struct parts {
    nlohmann::json header, claims;
    std::string text, signature, key;
  };

  static parts take_apart(const std::string& value) {
    parts out;
    EXPECT_TRUE(value.starts_with("vapid t=")) << value;
    const auto comma = value.find(", k=");
    const auto token = value.substr(8, comma - 8);
    out.key = bytes(value.substr(comma + 4));
    const auto first = token.find('.');
    const auto second = token.find('.', first + 1);
    out.text = token.substr(0, second);
    out.header = nlohmann::json::parse(bytes(token.substr(0, first)));
    out.claims = nlohmann::json::parse(bytes(token.substr(first + 1, second - first - 1)));
    out.signature = bytes(token.substr(second + 1));
    return out;
  }

  instant now{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1}};
};

TEST_F(VapidTest, TheTokenNamesServiceSenderAndEndAndItsSignatureHolds) {
  const auto signer = vapid_signer::from(make_vapid_key().value(), "mailto:ops@example.com").value();
  const auto token = take_apart(signer.authorization("https://push.example.net", now).value());
  EXPECT_EQ(token.header, (nlohmann::json{{"alg", "ES256"}, {"typ", "JWT"}}));
  EXPECT_EQ(token.claims["aud"], "https://push.example.net");
  EXPECT_EQ(token.claims["sub"], "mailto:ops@example.com");
  const auto expires = instant{std::chrono::seconds{token.claims["exp"].get<std::int64_t>()}};
  EXPECT_GT(expires, now);
  EXPECT_LE(expires, now + std::chrono::hours{24}) << "RFC 8292 §2";
  EXPECT_EQ(encode_base64url(token.key), signer.public_key());
  EXPECT_TRUE(verify_p256(token.key, token.text, token.signature));
  EXPECT_FALSE(verify_p256(token.key, token.text + "x", token.signature));
  EXPECT_FALSE(verify_p256(p256_key::generate()->point(), token.text, token.signature));
}

TEST_F(VapidTest, SignaturesAreAlwaysSixtyFourBytes) {
  // r or s has a leading zero once in 128 signatures.
  const auto key = p256_key::generate().value();
  for (int i = 0; i < 600; ++i) {
    const auto text = std::to_string(i);
    const auto signature = key.sign(text).value();
    ASSERT_EQ(signature.size(), p256_signature_size);
    ASSERT_TRUE(verify_p256(key.point(), text, signature)) << i;
  }
}

TEST_F(VapidTest, TheSameKeyIsTheSameSender) {
  const auto signer = vapid_signer::from(vector_sender_private, "mailto:a@b.example").value();
  EXPECT_EQ(signer.public_key(), vector_sender_public);
}

TEST_F(VapidTest, WhatIsNoKeyIsInvalid) {
  for (const auto* key : {"", "AAAA", "not base64!", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", vector_sender_public})
    EXPECT_EQ(vapid_signer::from(key, "mailto:a@b.example").error().code, errc::invalid_argument) << key;
}

push_message notice(std::string title, std::string message) {
  return {"0190a6e0-0000-7000-8000-000000000001", "post_failed", std::move(title), std::move(message), "/posts/1", true};
}

TEST(PushPayloadTest, CarriesWhatAServiceWorkerShows) {
  const auto payload = nlohmann::json::parse(render_push_payload(notice("Title", "Text \"quoted\" \xf0\x9f\x94\x94")));
  EXPECT_EQ(payload, (nlohmann::json{{"id", "0190a6e0-0000-7000-8000-000000000001"},
                                     {"type", "post_failed"},
                                     {"title", "Title"},
                                     {"message", "Text \"quoted\" \xf0\x9f\x94\x94"},
                                     {"action_url", "/posts/1"}}));
}

TEST(PushPayloadTest, ALongMessageIsCutBetweenCharactersToFit) {
  for (const std::string piece : {"a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x94\x94", "\"", "\x01"})
    for (std::size_t length = 2'800; length < 2'806; ++length) {
      std::string text;
      while (text.size() < length)
        text += piece;
      const auto payload = render_push_payload(notice("Title", text));
      EXPECT_LE(payload.size(), 3'000u);
      const auto message = nlohmann::json::parse(payload)["message"].get<std::string>();
      EXPECT_TRUE(is_valid_utf8(message));
      if (message != text) {
        EXPECT_TRUE(message.ends_with("\xe2\x80\xa6"));
        EXPECT_TRUE(text.starts_with(message.substr(0, message.size() - 3)));
        EXPECT_GT(payload.size(), 2'950u) << "no more is cut than needed";
      }
    }
}

TEST(PushPayloadTest, TextsOfAnyLengthFit) {
  const auto payload = render_push_payload(notice(std::string(10'000, 't'), std::string(70'000, 'm')));
  EXPECT_LE(payload.size(), 3'000u);
  const auto shown = nlohmann::json::parse(payload);
  EXPECT_EQ(shown["message"], "");
  EXPECT_FALSE(shown["title"].get<std::string>().empty());
}

} // namespace

} // namespace carillon::outbound
