#include "outbound/delivery/mail/smtp_transport.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "outbound/delivery/mail/mime_writer.hpp"

namespace carillon::outbound {

namespace {

using steady = std::chrono::steady_clock;
using carillon::done;

struct list_closer {
  void operator()(curl_slist* list) const noexcept {
    curl_slist_free_all(list);
  }
};

std::string server_of(const smtp_options& options) {
  const bool literal_v6 = options.host.find(':') != std::string::npos;
  return std::string{options.security == smtp_security::tls ? "smtps://"
                                                            : "smtp://"}
         + (literal_v6 ? "[" + options.host + "]" : options.host) + ":"
         + std::to_string(options.port);
}

/// Whether a 5xx reply to RCPT is about the mailbox: a full one, the server's
/// own trouble, the sender's address and policy are not (RFC 3463, RFC 5248,
/// RFC 7505). A reply without an enhanced code is taken at its word.
bool blames_the_address(std::string_view reply) {
  constexpr std::string_view about_it[] = {"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"};
  const auto code = reply.size() > 4 ? reply.substr(4, reply.find_first_of(" \r\n", 4) - 4) : std::string_view{};
  const bool enhanced = code.size() >= 5 && code.starts_with("5.") && code.find('.', 2) != code.npos;
  return !enhanced || std::find(std::begin(about_it), std::end(about_it), code) != std::end(about_it);
}

class smtp_transfer final : public transfer {
public:
  smtp_transfer(std::shared_ptr<const smtp_options> options,
                mail_message message, mail_transport::callback callback)
    : options_(std::move(options)),
      from_(message.from_address),
      to_(message.to_address),
      bytes_(write_mime(message)),
      callback_(std::move(callback)),
      host_key_(server_of(*options_)),
      deadline_(steady::now() + options_->timeout) {
  }

  const std::string& host_key() const noexcept override {
    return host_key_;
  }

  time_point deadline() const noexcept override {
    return deadline_;
  }

  /// libcurl never repeats an upload outside HTTP, so that a kept
  /// connection is safe.
  bool send_once() const noexcept override {
    return false;
  }

  result<done> prepare(CURL* easy) override {
    if (!bytes_)
      return bytes_.error();
    auto url = host_key_;
    if (!options_->helo_name.empty())
      url += "/" + options_->helo_name;
    curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(easy, CURLOPT_USE_SSL, [this]() -> long {
      switch (options_->security) {
        case smtp_security::none:
          return CURLUSESSL_NONE;
        case smtp_security::starttls_offered:
          return CURLUSESSL_TRY;
        case smtp_security::starttls:
        case smtp_security::tls:
          break;
      }
      return CURLUSESSL_ALL;
    }());
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (!options_->ca_file.empty())
      curl_easy_setopt(easy, CURLOPT_CAINFO, options_->ca_file.c_str());
    if (!options_->username.empty()) {
      curl_easy_setopt(easy, CURLOPT_USERNAME, options_->username.c_str());
      curl_easy_setopt(easy, CURLOPT_PASSWORD, options_->password.c_str());
    }
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(options_->connect_timeout.count()));
    // Servers drop an idle connection after some minutes (RFC 5321
    // §4.5.3.2.7); a fresh one costs less than a failed try.
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, 30L);
    curl_easy_setopt(easy, CURLOPT_MAIL_FROM, ("<" + from_ + ">").c_str());
    recipients_.reset(
      curl_slist_append(nullptr, ("<" + to_ + ">").c_str()));
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, recipients_.get());
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L);
    curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, &smtp_transfer::on_debug);
    curl_easy_setopt(easy, CURLOPT_DEBUGDATA, this);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, &smtp_transfer::on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, this);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE,
                     static_cast<curl_off_t>(bytes_->size()));
    return done{};
  }

  void finish(const transfer_report& report) override {
    if (report.how == transfer_report::end::completed)
      return callback_(done{});
    if (report.how == transfer_report::end::rejected)
      return callback_(failure{errc::permanent, report.detail, {}, {}});
    // The last reply that came in; libcurl keeps it when the next is missing.
    long reply = 0;
    if (report.easy != nullptr)
      curl_easy_getinfo(report.easy, CURLINFO_RESPONSE_CODE, &reply);
    // 530 asks for a login (RFC 4954 §6): it says nothing about the mail.
    const bool about_mail = report.started && reply != 530;
    auto code = errc::transient;
    if (about_mail && reply >= 500 && reply < 600)
      code = errc::permanent;
    else if (report.started && reply < 400 && all_read_)
      code = errc::outcome_unknown;
    auto detail = report.detail;
    if (reply >= 400)
      detail += " (reply " + std::to_string(reply) + ")";
    failure why{code, std::move(detail), {}, {}};
    if (code == errc::permanent && command_ == "RCPT" && blames_the_address(reply_))
      why.fields.push_back({"to_address", "was refused by the server."});
    callback_(std::move(why));
  }

private:
  /// Which command the last reply answers: libcurl tells it nowhere else. Of
  /// what is sent, logins included, only the verb is kept.
  static int on_debug(CURL*, curl_infotype what, char* data, std::size_t size, void* user) {
    auto& self = *static_cast<smtp_transfer*>(user);
    const std::string_view text{data, std::min<std::size_t>(size, 20)};
    // A failed transfer says goodbye before it is reported.
    if (what == CURLINFO_HEADER_OUT && text.starts_with("QUIT"))
      self.leaves_ = true;
    else if (what == CURLINFO_HEADER_OUT)
      self.command_ = text.substr(0, 4);
    else if (what == CURLINFO_HEADER_IN && !self.leaves_)
      self.reply_ = text;
    return 0;
  }

  static std::size_t on_read(char* to, std::size_t size, std::size_t count,
                             void* data) {
    auto& self = *static_cast<smtp_transfer*>(data);
    const auto& all = *self.bytes_;
    const auto n = std::min(size * count, all.size() - self.read_);
    std::memcpy(to, all.data() + self.read_, n);
    self.read_ += n;
    // Until libcurl has everything, the server cannot have seen the end of
    // the message and must not deliver it (RFC 5321 §4.1.1.4).
    self.all_read_ = self.read_ == all.size();
    return n;
  }

  std::shared_ptr<const smtp_options> options_;
  std::string from_;
  std::string to_;
  result<std::string> bytes_;
  mail_transport::callback callback_;
  std::string host_key_;
  time_point deadline_;
  std::unique_ptr<curl_slist, list_closer> recipients_;
  bool leaves_ = false;
  std::string command_;
  std::string reply_;
  std::size_t read_ = 0;
  bool all_read_ = false;
};

} // namespace

smtp_transport::smtp_transport(curl_loop& loop, smtp_options options)
  : loop_(loop), options_(std::make_shared<smtp_options>(std::move(options))) {
}

void smtp_transport::send(mail_message message, callback done) {
  loop_.start(std::make_unique<smtp_transfer>(options_, std::move(message),
                                              std::move(done)));
}

} // namespace carillon::outbound
