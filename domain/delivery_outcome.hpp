// How a channel's delivery of a notification ended.
#pragma once

#include <cstdint>
#include <string>

namespace carillon {

/// The row of notification_deliveries. A try that will be repeated is no
/// outcome.
struct delivery_outcome {
  enum class kind : std::uint8_t { sent, failed, skipped };
  kind how = kind::sent;
  std::string reason; ///< Cut to 255 characters; empty when sent.
};

} // namespace carillon
