#include "http/handlers/notifications/unsubscribe.hpp"

#include "domain/ports/notification_store.hpp"
#include "http/unsubscribe_token.hpp"

namespace carillon::http::notifications {

namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text)
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  return out;
}

/// No script, nothing from elsewhere, in no frame.
reply page(int status, const std::string& heading, const std::string& body) {
  reply out;
  out.status = status;
  out.content_type = "text/html; charset=utf-8";
  out.headers = {{"Content-Security-Policy",
                  "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"},
                 {"Referrer-Policy", "no-referrer"},
                 {"Cache-Control", "no-store"},
                 {"X-Robots-Tag", "noindex"}};
  out.raw = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>"
            + escaped(heading)
            + "</title>\n<style>\n"
              ":root { color-scheme: light dark; }\n"
              "body { font: 1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 15vh auto; padding: 0 1.5rem; }\n"
              "button { font: inherit; padding: .6rem 1.2rem; margin: .3rem .3rem .3rem 0; cursor: pointer; }\n"
              "</style>\n</head>\n<body>\n<main>\n<h1>"
            + escaped(heading) + "</h1>\n" + body + "</main>\n</body>\n</html>\n";
  return out;
}

reply not_valid() {
  return page(404, "This link is not valid",
              "<p>It may have been cut when it was copied. You can change what you are told, and how, in your "
              "notification settings.</p>\n");
}

std::optional<unsubscribe_link> link_of(const call& c) {
  const auto token = c.req.path_params.find("token");
  if (token == c.req.path_params.end())
    return std::nullopt;
  return read_unsubscribe_token(c.settings.unsubscribe_keys, token->second);
}

std::string name_of(const std::string& about) {
  if (const auto type = parse<notification_type>(about))
    return "\xe2\x80\x9c" + std::string{label(*type)} + "\xe2\x80\x9d";
  return "everything in \xe2\x80\x9c" + about + "\xe2\x80\x9d";
}

/// From the page's second button.
bool wants_all(std::string_view form) {
  return form == "all=1" || form.starts_with("all=1&") || form.find("&all=1") != form.npos;
}

} // namespace

result<reply> run_ask_unsubscribe(call& c) {
  const auto link = link_of(c);
  if (!link || types_about(link->about).empty())
    return not_valid();
  return page(200, "Stop these e-mails?",
              "<p>You will get no more e-mail about " + escaped(name_of(link->about))
                + ". In the app you still see it.</p>\n"
                  "<form method=\"post\">\n<button name=\"one\" value=\"1\">Stop these e-mails</button>\n"
                  "<button name=\"all\" value=\"1\">Stop all e-mail</button>\n</form>\n");
}

result<reply> run_unsubscribe(call& c) {
  const auto link = link_of(c);
  if (!link)
    return not_valid();
  const bool all = wants_all(c.req.body);
  const auto every = values_of<notification_type>();
  const auto types = all ? std::vector<notification_type>{every.begin(), every.end()} : types_about(link->about);
  if (types.empty())
    return not_valid();
  const auto done = c.db.notifications().unsubscribe_email(scope::tenant(link->tenant), link->user, types);
  if (!done) {
    if (done.error().code == errc::not_found)
      return not_valid();
    return done.error();
  }
  c.log.info("unsubscribed", {{"user", to_string(link->user)}, {"about", all ? "everything" : link->about}});
  return page(200, "Done",
              "<p>You will get no more e-mail" + (all ? std::string{} : " about " + escaped(name_of(link->about)))
                + ". You can change this in your notification settings at any time.</p>\n");
}

} // namespace carillon::http::notifications
