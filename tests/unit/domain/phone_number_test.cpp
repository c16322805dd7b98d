#include "domain/phone_number.hpp"

#include <gtest/gtest.h>

namespace carillon {

namespace {

TEST(PhoneNumberTest, InternationalNumbersAreBroughtToE164) {
  for (const auto* text : {"+49301234567", "+49 30 1234567", "0049 30 1234567", "+49 (30) 123-45.67", "+49/30/1234567"})
    EXPECT_EQ(parse_phone_number(text), "+49301234567") << text;
  EXPECT_EQ(parse_phone_number("+1 (415) 555-0100"), "+14155550100");
}

TEST(PhoneNumberTest, WhatCannotBeCalledFromAnywhereIsRefused) {
  for (const auto* text : {"", "+", "030 1234567", "49301234567", "+0301234567", "+49", "+123456", "+1234567890123456",
                           "+49 30 12345x", "++49301234567", "+49+301234567", "tel:+49301234567", "+4930123456\n7",
                           "+\xd9\xa4\xd9\xa9" "301234567"})
    EXPECT_FALSE(parse_phone_number(text)) << text;
}

TEST(PhoneNumberTest, E164HasSevenToFifteenDigits) {
  EXPECT_TRUE(is_e164("+1234567"));
  EXPECT_TRUE(is_e164("+123456789012345"));
  EXPECT_FALSE(is_e164("+123456"));
  EXPECT_FALSE(is_e164("+1234567890123456"));
  EXPECT_FALSE(is_e164("+49 301234567"));
  EXPECT_FALSE(is_e164("1234567"));
}

} // namespace

} // namespace carillon
