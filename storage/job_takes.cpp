#include "storage/job_takes.hpp"

namespace carillon::storage {

namespace {

thread_local job_takes* page_of_this_thread = nullptr;

} // namespace

job_takes::job_takes(job_intake* port) noexcept
  : port_(port), outer_(std::exchange(page_of_this_thread, port ? this : nullptr)) {
}

job_takes::~job_takes() {
  settle(ending::rolled_back);
  page_of_this_thread = outer_;
}

job_takes* job_takes::current() noexcept {
  return page_of_this_thread;
}

void job_takes::settle(ending how) noexcept {
  for (auto& one : std::exchange(entries_, {})) {
    auto outcome = take_outcome::not_taken;
    if (how == ending::unknown)
      outcome = take_outcome::unknown;
    else if (how == ending::committed && one.work)
      outcome = take_outcome::taken;
    port_->settle(one.what, outcome, std::move(one.work).value_or(job{}));
  }
}

std::optional<reserved_take> job_takes::reserve(const job_id& id, const workspace_id& workspace) {
  // Room first: what was reserved has to be settled.
  entries_.emplace_back();
  auto what = port_->reserve(id, workspace);
  if (!what) {
    entries_.pop_back();
    return std::nullopt;
  }
  entries_.back().what = std::move(*what);
  return entries_.back().what;
}

void job_takes::took(job work) {
  entries_.back().work = std::move(work);
}

} // namespace carillon::storage
