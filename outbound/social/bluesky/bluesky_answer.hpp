// Pure: what a PDS's answer means.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "domain/ports/social_gateway.hpp"
#include "domain/result.hpp"
#include "outbound/http_client.hpp"
#include "outbound/social/call.hpp"

namespace carillon::outbound::bluesky {

/// `error` of an XRPC answer (https://atproto.com/specs/xrpc#error-responses);
/// empty for anything else.
std::string error_name(const http_response& response);

/// The access token is over or not known: a new one may do.
bool is_session_refused(const http_response& response);

/// There is no record of that key.
bool is_record_missing(const http_response& response);

/// See bluesky_gateway for the table; nothing for a 2xx.
std::optional<failure> failure_of(const http_response& response, effect what, instant now);

struct session {
  std::string did;
  std::string handle;
  std::string access_token;
  std::string refresh_token;
  /// From the access token, when it can be read.
  std::optional<instant> expires_at;
};

/// The output of createSession and refreshSession, or transient.
result<session> read_session(const http_response& response);

/// A com.atproto.repo.strongRef.
struct record_reference {
  std::string uri;
  std::string cid;
};

/// The output of putRecord, or outcome_unknown.
result<record_reference> read_put(const http_response& response);

struct stored_record {
  record_reference reference;
  public_post post;
};

/// The output of getRecord, or transient.
result<stored_record> read_record(const http_response& response);

struct record_page {
  std::vector<public_post> posts;
  std::string cursor; ///< Empty at the end.
};

/// The output of listRecords, or transient.
result<record_page> read_page(const http_response& response);

/// The `did` of resolveHandle, or transient.
result<std::string> read_did(const http_response& response);

/// The `blob` of uploadBlob as it goes into a record, or transient.
result<nlohmann::json> read_blob(const http_response& response);

/// A blob as prepare_media answered it; nothing for anything else.
std::optional<nlohmann::json> read_reference(const std::string& text);

/// Where people see the post of an `at://` address; empty when it is none.
std::string web_address(const std::string& uri);

} // namespace carillon::outbound::bluesky
