#include "http/gates.hpp"

#include "domain/ports/auth_store.hpp"
#include "domain/ports/workspace_store.hpp"
#include "http/token.hpp"

#include <unordered_map>

namespace carillon::http {

namespace {

failure unauthorized(const char* why) {
  return {errc::unauthorized, why, {}, {}};
}

caller caller_of(const stored_token& token) {
  return {token.id, token.user, token.tenant, token.user_name, token.user_email, token.role};
}

/// Contract §2.1.
std::optional<failure> authenticate(call& c) {
  const auto presented = parse_bearer(c.req.header("authorization"));
  if (!presented)
    return unauthorized("no bearer token");
  const auto everywhere = scope::maintenance("authenticate a bearer token");
  const auto hash = hash_token_secret(presented->secret);
  auto& tokens = c.db.auth();
  auto found = presented->id ? tokens.find_token(everywhere, *presented->id)
                             : tokens.find_token_by_hash(everywhere, hash);
  if (!found)
    return std::move(found).error();
  const auto& token = *found;
  if (!token || !equal_in_constant_time(token->secret_hash, hash))
    return unauthorized("unknown token");
  if (token->expired)
    return unauthorized("expired token");
  if (!token->used_lately)
    if (auto touched = tokens.touch_token(everywhere, token->id); !touched)
      return std::move(touched).error();
  c.who = caller_of(*token);
  return std::nullopt;
}

/// Contract §3.6: a user's token is forbidden here, not unknown.
std::optional<failure> authenticate_admin(call& c, bool writes) {
  const auto presented = parse_bearer(c.req.header("authorization"));
  if (!presented)
    return unauthorized("no bearer token");
  const auto everywhere = scope::maintenance("authenticate a super-admin's token");
  const auto hash = hash_token_secret(presented->secret);
  auto& tokens = c.db.auth();
  auto found = presented->id ? tokens.find_admin_token(everywhere, *presented->id)
                             : tokens.find_admin_token_by_hash(everywhere, hash);
  if (!found)
    return std::move(found).error();
  if (!*found) {
    if (auto refused = authenticate(c))
      return refused;
    return failure{errc::forbidden, "This is for the platform's administrators.", {}, {}};
  }
  const auto& token = **found;
  if (!equal_in_constant_time(token.secret_hash, hash))
    return unauthorized("unknown token");
  if (token.expired)
    return unauthorized("expired token");
  if (token.who.status != super_admin_status::ACTIVE)
    return failure{errc::forbidden, "This account is not active.", {}, {}};
  if (writes && token.who.role == super_admin_role::VIEWER)
    return failure{errc::forbidden, "Your role may only look.", {}, {}};
  if (!token.used_lately)
    if (auto touched = tokens.touch_token(everywhere, token.id); !touched)
      return std::move(touched).error();
  c.who.token_id = token.id;
  c.who.admin = admin_caller{token.who.id.value, token.who.name, token.who.email, token.who.role,
                             token.who.last_login_at};
  return std::nullopt;
}

/// Contract §2.3.
std::optional<failure> refuse_tenant(tenant_status status) {
  switch (status) {
  case tenant_status::pending:
  case tenant_status::active:
    return std::nullopt;
  case tenant_status::suspended:
    return failure{errc::forbidden, "Your organisation is suspended.", {}, {}};
  case tenant_status::terminated:
    break;
  }
  return failure{errc::forbidden, "Your organisation is closed.", {}, {}};
}

std::optional<failure> check_tenant(call& c) {
  auto status = c.db.workspaces().find_tenant_status(c.tenant_scope());
  if (!status)
    return std::move(status).error();
  return refuse_tenant(*status);
}

/// Contract §2.4.
std::optional<failure> check_workspace(call& c) {
  auto id = c.path_id<workspace_id>("workspace");
  if (!id)
    return std::move(id).error();
  auto gate = c.db.workspaces().find_access(c.tenant_scope(), *id, c.who.user);
  if (!gate)
    return std::move(gate).error();
  if (!gate->membership && !c.who.is_tenant_admin())
    return failure{
      errc::forbidden, "You are not a member of this workspace.", {}, {}};
  c.workspace = {gate->id, gate->membership, c.who.is_tenant_admin()};
  return std::nullopt;
}

} // namespace

std::optional<failure> pass_gates(call& c, access need) {
  if (need == access::open)
    return std::nullopt;
  if (need == access::admin || need == access::admin_writer)
    return authenticate_admin(c, need == access::admin_writer);
  if (auto refused = authenticate(c))
    return refused;
  if (need == access::identity)
    return std::nullopt;
  if (auto refused = check_tenant(c))
    return refused;
  if (need == access::token)
    return std::nullopt;
  return check_workspace(c);
}

std::vector<result<caller>> identify(store& db, const std::vector<presented_token>& presented) {
  std::vector<result<caller>> out;
  out.reserve(presented.size());
  const auto everywhere = scope::maintenance("authenticate bearer tokens");
  std::vector<std::int64_t> ids;
  ids.reserve(presented.size());
  for (const auto& one : presented)
    ids.push_back(one.id.value_or(0));
  auto& tokens = db.auth();
  const auto found = tokens.find_holders(everywhere, ids);
  std::unordered_map<std::int64_t, const token_holder*> holders;
  if (found)
    for (const auto& holder : *found)
      holders.emplace(holder.token.id, &holder);
  std::vector<std::int64_t> used;
  for (const auto& one : presented) {
    const auto i = holders.find(one.id.value_or(0));
    if (!found) {
      out.emplace_back(found.error());
    } else if (i == holders.end()
               || !equal_in_constant_time(i->second->token.secret_hash, hash_token_secret(one.secret))) {
      out.emplace_back(unauthorized("unknown token"));
    } else if (i->second->token.expired) {
      out.emplace_back(unauthorized("expired token"));
    } else {
      out.emplace_back(caller_of(i->second->token));
      if (!i->second->token.used_lately)
        used.push_back(i->first);
    }
  }
  const auto touched = used.empty() ? result<done>{done{}} : tokens.touch_tokens(everywhere, used);
  for (auto& one : out) {
    if (!one)
      continue;
    const auto& holder = *holders.at(one->token_id);
    if (!touched && !holder.token.used_lately)
      one = touched.error();
    else if (!holder.tenant)
      one = failure{errc::not_found, "no such tenant", {}, {}};
    else if (auto refused = refuse_tenant(*holder.tenant))
      one = std::move(*refused);
  }
  return out;
}

} // namespace carillon::http
