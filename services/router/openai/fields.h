#pragma once

// Reads fields of a JSON object with types and ranges checked (internal to openai/). The first error stays.
// Not thread-safe.

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "services/router/openai/api_error.h"

namespace baton::router {

class Fields {
 public:
  explicit Fields(const boost::json::object& object) : object_(object) {}

  // nullptr if absent or null.
  const boost::json::value* Get(absl::string_view name) const;

  bool Bool(absl::string_view name, bool absent);
  double Number(absl::string_view name, double absent, double least, double most);
  std::optional<int64_t> Integer(absl::string_view name, int64_t least, int64_t most);
  std::optional<uint64_t> Seed(absl::string_view name);
  std::string String(absl::string_view name);

  void Fail(absl::string_view name, absl::string_view message, absl::string_view code = "");
  // The field means something that is not supported.
  void Refuse(absl::string_view name, absl::string_view what);
  const std::optional<ApiError>& error() const { return error_; }

 private:
  const boost::json::object& object_;
  std::optional<ApiError> error_;
};

// An integer, also when written as 3.0. Nothing if it is none or out of range.
std::optional<int64_t> AsInteger(const boost::json::value& value, int64_t least, int64_t most);

}  // namespace baton::router
