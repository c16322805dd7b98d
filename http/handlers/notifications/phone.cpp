#include "http/handlers/notifications/phone.hpp"

#include "domain/phone_number.hpp"
#include "domain/ports/sms_store.hpp"

namespace carillon::http::notifications {

namespace {

/// As people write a number, with spaces and brackets.
constexpr std::size_t longest_phone = 40;

json render(const std::string& phone) {
  return {{"phone", phone.empty() ? json() : json(phone)}, {"can_receive_texts", is_e164(phone)}};
}

} // namespace

result<std::string> parse_phone(const json& body) {
  const auto given = body.find("phone");
  if (given == body.end())
    return invalid("phone", "The phone field is required; null removes the number.");
  if (given->is_null())
    return std::string{};
  const auto* text = given->get_ptr<const std::string*>();
  if (text && text->empty())
    return std::string{};
  const auto phone = text && text->size() <= longest_phone ? parse_phone_number(*text) : std::nullopt;
  if (!phone)
    return invalid("phone", "The phone field must be an international number such as +49 30 1234567.");
  return *phone;
}

result<reply> run_phone(call& c) {
  const auto phone = c.db.texts().phone(c.tenant_scope(), c.who.user);
  if (!phone)
    return phone.error();
  return ok(render(*phone));
}

result<reply> run_set_phone(call& c) {
  const auto body = c.body();
  if (!body)
    return body.error();
  const auto phone = parse_phone(*body);
  if (!phone)
    return phone.error();
  if (auto set = c.db.texts().set_phone(c.tenant_scope(), c.who.user, *phone); !set)
    return std::move(set).error();
  return ok(render(*phone), phone->empty() ? "Phone number removed" : "Phone number saved");
}

} // namespace carillon::http::notifications
