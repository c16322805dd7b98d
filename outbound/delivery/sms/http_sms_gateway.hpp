// sms_gateway over any provider that takes a text by one HTTP request.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "domain/clock.hpp"
#include "domain/ports/sms_gateway.hpp"
#include "outbound/http_client.hpp"

namespace carillon::outbound {

enum class sms_auth { none, basic, bearer, header };

/// Templates are mustache with `to`, `from`, `text` and `reference` (the
/// notification's id). What they put in is escaped for where it stands.
struct sms_provider_options {
  std::string url; ///< A template; http or https.
  std::string method = "POST";
  std::string content_type = "application/x-www-form-urlencoded";
  /// `name=template` each: a form, or the members of an object where the
  /// content type is JSON. Used when `body` is empty.
  std::vector<std::string> fields;
  std::string body; ///< A template.
  std::string from;
  sms_auth auth = sms_auth::none;
  std::string username; ///< Of basic.
  std::string secret;   ///< Password, token, or the header's value.
  std::string header;   ///< Of header: its name.
  /// `201` or `200-299` each.
  std::vector<std::string> success_statuses{"200-299"};
  /// Where the provider's id of the message stands in its answer (RFC 6901);
  /// empty for nowhere.
  std::string id_pointer;
  /// What of a refusal's body goes to the log and the delivery.
  std::vector<std::string> error_pointers;
  std::chrono::milliseconds timeout{15'000};
};

class http_sms_gateway final : public sms_gateway {
public:
  /// `http` and `clock` outlive it. errc::invalid_argument: a template, a
  /// status or a pointer cannot be read.
  static result<std::shared_ptr<http_sms_gateway>> make(http_client& http, const clock_port& clock,
                                                        sms_provider_options options);

  void send(sms_message message, callback done) override;

private:
  http_sms_gateway(http_client& http, const clock_port& clock, sms_provider_options options,
                   std::vector<std::pair<int, int>> success);

  http_client& http_;
  const clock_port& clock_;
  std::shared_ptr<const sms_provider_options> options_;
  std::shared_ptr<const std::vector<std::pair<int, int>>> success_;
};

} // namespace carillon::outbound
