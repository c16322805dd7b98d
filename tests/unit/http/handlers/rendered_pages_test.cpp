// What was shown lately is shown again only as it is now.
#include "http/handlers/notifications/rendered_pages.hpp"

#include <gtest/gtest.h>

namespace carillon::http::notifications {

namespace {

std::string text_of(rendered_pages& pages, const mailbox_page& page, const std::string& versions) {
  const auto found = pages.find(page, versions);
  return found ? *found->rows : "none";
}

page_text text(std::string value) {
  return {std::make_shared<const std::string>(std::move(value)), 1};
}

mailbox_page page_of(user_id user, int page = 1, int per_page = 20) {
  return {{tenant_id::make(), user}, page, per_page};
}

TEST(RenderedPagesTest, APageIsFoundForExactlyItsVersions) {
  rendered_pages pages{1'000'000};
  const auto user = user_id::make();
  const auto page = page_of(user);
  EXPECT_FALSE(pages.knows(page));
  EXPECT_EQ(text_of(pages, page, "a1b1"), "none");
  pages.keep(page, "a1b1", text("[a,b]"));
  EXPECT_TRUE(pages.knows(page));
  EXPECT_EQ(text_of(pages, page, "a1b1"), "[a,b]");
  for (const auto* other : {"a1b2", "b1a1", "a1", "", "a1b1c1"})
    EXPECT_EQ(text_of(pages, page, other), "none");
  for (const auto& other : {page_of(user_id::make()), page_of(user, 2), page_of(user, 1, 2)}) {
    EXPECT_EQ(text_of(pages, other, "a1b1"), "none");
    EXPECT_FALSE(pages.knows(other));
  }
  pages.keep(page, "a2", text("[a2]"));
  EXPECT_EQ(text_of(pages, page, "a2"), "[a2]");
  EXPECT_EQ(text_of(pages, page, "a1b1"), "none");
}

TEST(RenderedPagesTest, MemoryIsBoundedAndWhatIsAskedForStays) {
  constexpr std::size_t most = 100'000;
  rendered_pages pages{most};
  const auto wanted = page_of(user_id::make());
  const auto left = page_of(user_id::make());
  pages.keep(wanted, "7", text(std::string(500, 'w')));
  pages.keep(left, "7", text(std::string(500, 'l')));
  for (int i = 0; i < 2'000; ++i) {
    pages.keep(page_of(user_id::make()), "7", text(std::string(500, 'x')));
    EXPECT_EQ(text_of(pages, wanted, "7"), std::string(500, 'w')) << i;
    EXPECT_LE(pages.bytes(), most) << i;
  }
  EXPECT_FALSE(pages.knows(left));
  // What takes another's place is not counted twice.
  for (int i = 0; i < 10'000; ++i)
    pages.keep(wanted, std::to_string(i), text(std::string(500, 'v')));
  EXPECT_LE(pages.bytes(), most);
  EXPECT_GT(pages.bytes(), most / 2) << "the others are still here";
  EXPECT_EQ(text_of(pages, wanted, "9999"), std::string(500, 'v'));
}

TEST(RenderedPagesTest, WhatIsLargerThanAllOfItIsNotKept) {
  rendered_pages pages{1'000};
  const auto page = page_of(user_id::make());
  pages.keep(page, "1", text(std::string(5'000, 'x')));
  EXPECT_FALSE(pages.knows(page));
  EXPECT_EQ(pages.bytes(), 0u);
  pages.keep(page, "2", text("[]"));
  EXPECT_EQ(text_of(pages, page, "2"), "[]");
}

} // namespace

} // namespace carillon::http::notifications
