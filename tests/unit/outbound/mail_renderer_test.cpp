#include "outbound/delivery/mail/mustache_mail_renderer.hpp"

#include <filesystem>
#include <fstream>
#include <regex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "outbound/delivery/mail/mime_writer.hpp"

namespace carillon::outbound {

namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class MailRendererTest : public ::testing::Test {
protected:
  static mail_renderer_options options() {
    mail_renderer_options out;
    out.from_address = "no-reply@acme.example";
    out.from_name = "Acme News";
    out.frontend_url = "https://app.acme.example";
    return out;
  }

  static notification_mail notice() {
    notification_mail out;
    out.recipient_name = "Ada";
    out.recipient_address = "ada@users.example";
    out.notification_id = "0198c0de-0000-7000-8000-000000000001";
    out.title = "Your post is out";
    out.message = "It was published.";
    out.action_url = "https://app.acme.example/posts/1";
    out.date = instant{std::chrono::sys_days{std::chrono::year{2026} / 2 / 7}};
    return out;
  }

  const mustache_mail_renderer renderer{options()};
};

TEST_F(MailRendererTest, TheMailIsAddressedAndCarriesAStableId) {
  const auto mail = renderer.render(notice());
  EXPECT_EQ(mail.message_id, "notification-0198c0de-0000-7000-8000-000000000001@acme.example");
  EXPECT_EQ(mail.message_id, renderer.render(notice()).message_id);
  EXPECT_EQ(mail.from_address, "no-reply@acme.example");
  EXPECT_EQ(mail.from_name, "Acme News");
  EXPECT_EQ(mail.to_address, "ada@users.example");
  EXPECT_EQ(mail.to_name, "Ada");
  EXPECT_EQ(mail.subject, "Your post is out");
  EXPECT_EQ(mail.date, notice().date);
  EXPECT_TRUE(write_mime(mail));
}

TEST_F(MailRendererTest, TextAndHtmlBothSayEverything) {
  const auto mail = renderer.render(notice());
  for (const auto& body : {mail.text_body, mail.html_body}) {
    EXPECT_THAT(body, HasSubstr("Hello Ada,"));
    EXPECT_THAT(body, HasSubstr("Your post is out"));
    EXPECT_THAT(body, HasSubstr("It was published."));
    EXPECT_THAT(body, HasSubstr("https://app.acme.example/posts/1"));
    EXPECT_THAT(body, HasSubstr("https://app.acme.example/app/settings/notifications"));
    EXPECT_THAT(body, Not(HasSubstr("{{")));
  }
  EXPECT_THAT(mail.html_body, ::testing::StartsWith("<!doctype html>"));
  EXPECT_THAT(mail.text_body, Not(HasSubstr("<p")));
}

TEST_F(MailRendererTest, HtmlEscapesWhateverComesIn) {
  auto n = notice();
  n.recipient_name = "<b>Ada</b> & \"friends\"";
  n.title = "</title><script>alert(1)</script>";
  n.message = "<img src=x onerror='alert(2)'>\n{{title}} {{{title}}} {{#urgent}}x{{/urgent}}";
  n.action_url = "https://x.example/\"><script>alert(3)</script>";
  const auto mail = renderer.render(n);
  EXPECT_THAT(mail.html_body, Not(HasSubstr("<script")));
  EXPECT_THAT(mail.html_body, Not(HasSubstr("<img")));
  EXPECT_THAT(mail.html_body, Not(HasSubstr("<b>")));
  EXPECT_THAT(mail.html_body, HasSubstr("&lt;script&gt;alert(1)"));
  EXPECT_THAT(mail.html_body, HasSubstr("&lt;b&gt;Ada&lt;/b&gt; &amp; &quot;friends&quot;"));
  EXPECT_THAT(mail.html_body, HasSubstr("{{title}} {{{title}}}")) << "text is no template";
  // No quote of a value ends an attribute.
  static const std::regex href{"href=\"([^\"]*)\""};
  for (auto i = std::sregex_iterator{mail.html_body.begin(), mail.html_body.end(), href}; i != std::sregex_iterator{}; ++i)
    EXPECT_THAT((*i)[1].str(), ::testing::StartsWith("https://"));
}

TEST_F(MailRendererTest, TextIsNotEscaped) {
  auto n = notice();
  n.recipient_name = "O'Brien & Sons";
  n.title = "5 > 4 \"really\"";
  n.message = "a < b && c";
  const auto mail = renderer.render(n);
  EXPECT_THAT(mail.text_body, HasSubstr("Hello O'Brien & Sons,"));
  EXPECT_THAT(mail.text_body, HasSubstr("5 > 4 \"really\""));
  EXPECT_THAT(mail.text_body, HasSubstr("a < b && c"));
  EXPECT_EQ(mail.subject, n.title);
}

TEST_F(MailRendererTest, OnlyAWebAddressBecomesAButton) {
  for (const auto* url : {"", "javascript:alert(1)", "JAVASCRIPT:alert(1)", "data:text/html,x", "/relative", "ftp://x.example",
                          " https://x.example", "//x.example"}) {
    auto n = notice();
    n.action_url = url;
    const auto mail = renderer.render(n);
    EXPECT_THAT(mail.html_body, Not(HasSubstr("Open in "))) << url;
    EXPECT_THAT(mail.text_body, Not(HasSubstr("Open it here"))) << url;
    for (std::size_t at = 0; (at = mail.html_body.find("href=\"", at)) != std::string::npos; ++at)
      EXPECT_EQ(mail.html_body.compare(at + 6, 8, "https://"), 0) << url;
  }
  EXPECT_THAT(renderer.render(notice()).html_body, HasSubstr("Open in Acme News"));
}

TEST_F(MailRendererTest, BlankLinesPartParagraphsAndSingleOnesBreakThem) {
  auto n = notice();
  n.message = "one\r\ntwo\n\nthree\n\n\n\nfour";
  const auto html = renderer.render(n).html_body;
  EXPECT_THAT(html, HasSubstr("one<br>two</p>"));
  EXPECT_THAT(html, HasSubstr(">three</p>"));
  EXPECT_THAT(html, HasSubstr(">four</p>"));
}

TEST_F(MailRendererTest, UrgencyShowsInBothBodies) {
  auto n = notice();
  EXPECT_THAT(renderer.render(n).text_body, Not(HasSubstr("URGENT")));
  EXPECT_THAT(renderer.render(n).html_body, Not(HasSubstr("URGENT")));
  n.urgent = true;
  EXPECT_THAT(renderer.render(n).text_body, ::testing::StartsWith("URGENT"));
  EXPECT_THAT(renderer.render(n).html_body, HasSubstr("URGENT"));
}

TEST_F(MailRendererTest, ANamelessRecipientIsGreetedAllTheSame) {
  auto n = notice();
  n.recipient_name.clear();
  const auto mail = renderer.render(n);
  EXPECT_THAT(mail.text_body, HasSubstr("Hello,"));
  EXPECT_THAT(mail.html_body, HasSubstr("Hello,"));
}

class OwnTemplates {
public:
  OwnTemplates() {
    std::string folder = std::filesystem::temp_directory_path() / "carillon-templates-XXXXXX";
    if (!::mkdtemp(folder.data()))
      throw std::runtime_error{"no folder for templates"};
    path = folder;
  }
  ~OwnTemplates() {
    std::filesystem::remove_all(path);
  }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path / name).parent_path());
    std::ofstream{path / name} << text;
  }
  void write_language(const std::string& language, const std::string& word) const {
    write(language + "/layout.html.mustache", "<i>" + word + " {{title}}</i>\n{{> block}}\n");
    write(language + "/layout.txt.mustache", word + ": {{title}}\n{{> block}}\n");
    write(language + "/default.html.mustache", "<p>{{message}}</p>\n");
    write(language + "/default.txt.mustache", "{{message}}\n");
    write(language + "/digest.html.mustache", "{{#entries}}<li>{{entry_title}}</li>{{/entries}}\n");
    write(language + "/digest.txt.mustache", "{{#entries}}{{entry_title}}.{{/entries}}\n");
    write(language + "/digest.subject.mustache", word + " {{count}}\n");
  }

  std::filesystem::path path;
};

TEST_F(MailRendererTest, OwnTemplatesReplaceTheBuiltInOnes) {
  const OwnTemplates own;
  auto o = options();
  o.template_directory = own.path;
  EXPECT_THROW(mustache_mail_renderer{o}, std::runtime_error) << "there is no English";
  own.write_language("en", "T");
  const auto mail = mustache_mail_renderer{o}.render(notice());
  EXPECT_EQ(mail.html_body, "<i>T Your post is out</i>\n<p>It was published.</p>\n");
  EXPECT_EQ(mail.text_body, "T: Your post is out\nIt was published.\n");
  for (const auto& [name, text] : {std::pair{"en/default.txt.mustache", "T: {{#title}}"},
                                   std::pair{"en/layout.txt.mustache", "no place for a block\n"}}) {
    own.write(name, text);
    try {
      mustache_mail_renderer broken{o};
      ADD_FAILURE() << "a broken template was taken: " << name;
    } catch (const std::runtime_error& e) {
      EXPECT_THAT(e.what(), HasSubstr(name));
    }
    own.write_language("en", "T");
  }
  std::filesystem::remove(own.path / "en/digest.txt.mustache");
  EXPECT_THROW(mustache_mail_renderer{o}, std::runtime_error);
}

TEST_F(MailRendererTest, AnotherLanguageIsAFolderAway) {
  const OwnTemplates own;
  own.write_language("en", "English");
  own.write_language("pt", "Portuguese");
  own.write_language("de-CH", "Swiss");
  auto o = options();
  o.template_directory = own.path;
  const mustache_mail_renderer renderer{o};
  for (const auto& [language, word] : {std::pair{"pt-BR", "Portuguese"}, std::pair{"pt", "Portuguese"},
                                       std::pair{"de-CH", "Swiss"}, std::pair{"de", "English"}, std::pair{"", "English"},
                                       std::pair{"../../etc", "English"}}) {
    auto n = notice();
    n.language = language;
    EXPECT_THAT(renderer.render(n).text_body, ::testing::StartsWith(word)) << language;
  }
}

TEST_F(MailRendererTest, ATypeHasABlockOfItsOwnOrTheCommonOne) {
  auto n = notice();
  n.type = "post_failed";
  const auto failed = renderer.render(n);
  for (const auto& body : {failed.text_body, failed.html_body}) {
    EXPECT_THAT(body, HasSubstr("Nothing is published twice"));
    EXPECT_THAT(body, HasSubstr("It was published."));
    EXPECT_THAT(body, HasSubstr("https://app.acme.example/posts/1"));
  }
  for (const auto* other : {"post_published", "", "no_such_type"}) {
    n.type = other;
    EXPECT_THAT(renderer.render(n).text_body, Not(HasSubstr("published twice"))) << other;
    EXPECT_THAT(renderer.render(n).text_body, HasSubstr("It was published.")) << other;
  }
}

TEST_F(MailRendererTest, ADigestTellsOfEachAndCountsTheRest) {
  auto n = notice();
  n.type = "digest";
  n.title.clear();
  n.category = "engagement";
  n.entry_count = 12;
  n.entries = {{"First <b>one</b>", "Text & more", "https://app.acme.example/1", true, n.date},
               {"Second", "{{title}}", "javascript:alert(1)", false, n.date}};
  const auto mail = renderer.render(n);
  EXPECT_EQ(mail.message_id, "digest-" + n.notification_id + "@acme.example");
  EXPECT_EQ(mail.subject, "12 new notifications: engagement");
  EXPECT_THAT(mail.html_body, HasSubstr("First &lt;b&gt;one&lt;/b&gt;"));
  EXPECT_THAT(mail.text_body, HasSubstr("* First <b>one</b> (urgent)\n  Text & more\n  https://app.acme.example/1\n"));
  EXPECT_THAT(mail.html_body, Not(HasSubstr("javascript")));
  for (const auto& body : {mail.text_body, mail.html_body}) {
    EXPECT_THAT(body, HasSubstr("And 10 more in the app."));
    EXPECT_THAT(body, HasSubstr("{{title}}")) << "text is no template";
  }
}

TEST_F(MailRendererTest, TheLinkThatEndsTheseMailsIsInBothBodiesAndInTheHeader) {
  auto n = notice();
  EXPECT_THAT(renderer.render(n).html_body, Not(HasSubstr("stop these e-mails")));
  n.unsubscribe_url = "https://carillon.example/unsubscribe/abc.def";
  const auto mail = renderer.render(n);
  EXPECT_THAT(mail.html_body, HasSubstr("href=\"https://carillon.example/unsubscribe/abc.def\""));
  EXPECT_THAT(mail.text_body, HasSubstr("https://carillon.example/unsubscribe/abc.def"));
  const auto bytes = *write_mime(mail);
  EXPECT_THAT(bytes, HasSubstr("List-Unsubscribe: <https://carillon.example/unsubscribe/abc.def>\r\n"));
  EXPECT_THAT(bytes, HasSubstr("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"));
  for (const auto* bad : {"", "mailto:x@y.example", "https://x.example/>\r\nBcc: evil@world.example", "https://x.example/ y"}) {
    n.unsubscribe_url = bad;
    const auto letter = *write_mime(renderer.render(n));
    const auto head = letter.substr(0, letter.find("\r\n\r\n"));
    EXPECT_THAT(head, Not(HasSubstr("List-Unsubscribe"))) << bad;
    EXPECT_THAT(head, Not(HasSubstr("Bcc"))) << bad;
  }
}

TEST_F(MailRendererTest, ASenderThatIsNoAddressIsRefusedAtStart) {
  for (const auto* address : {"", "Acme", "a@b.example\r\nBcc: x@y.example"}) {
    auto o = options();
    o.from_address = address;
    EXPECT_THROW(mustache_mail_renderer{o}, std::runtime_error) << address;
  }
}

} // namespace

} // namespace carillon::outbound
