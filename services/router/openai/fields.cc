#include "services/router/openai/fields.h"

#include <boost/json/value.hpp>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace baton::router {
namespace {

boost::json::string_view View(absl::string_view text) {
  return {text.data(), text.size()};
}

std::optional<double> AsNumber(const boost::json::value& value) {
  if (value.is_double()) return value.get_double();
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> AsInteger(const boost::json::value& value, int64_t least, int64_t most) {
  int64_t integer = 0;
  if (value.is_int64()) {
    integer = value.get_int64();
  } else if (value.is_double()) {
    const double number = value.get_double();
    if (std::trunc(number) != number || std::abs(number) > 9007199254740992.0) return std::nullopt;
    integer = static_cast<int64_t>(number);
  } else {
    return std::nullopt;
  }
  if (integer < least || integer > most) return std::nullopt;
  return integer;
}

const boost::json::value* Fields::Get(absl::string_view name) const {
  const boost::json::value* value = object_.if_contains(View(name));
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool Fields::Bool(absl::string_view name, bool absent) {
  const boost::json::value* value = Get(name);
  if (value == nullptr) return absent;
  if (value->is_bool()) return value->get_bool();
  Fail(name, absl::StrCat("'", name, "' must be a boolean"), "invalid_type");
  return absent;
}

double Fields::Number(absl::string_view name, double absent, double least, double most) {
  const boost::json::value* value = Get(name);
  if (value == nullptr) return absent;
  const std::optional<double> number = AsNumber(*value);
  if (!number) {
    Fail(name, absl::StrCat("'", name, "' must be a number"), "invalid_type");
    return absent;
  }
  if (!(*number >= least && *number <= most)) {
    Fail(name, absl::StrCat("'", name, "' must be from ", least, " to ", most), "invalid_value");
    return absent;
  }
  return *number;
}

std::optional<int64_t> Fields::Integer(absl::string_view name, int64_t least, int64_t most) {
  const boost::json::value* value = Get(name);
  if (value == nullptr) return std::nullopt;
  std::optional<int64_t> integer = AsInteger(*value, least, most);
  if (!integer) {
    Fail(name, absl::StrCat("'", name, "' must be an integer from ", least, " to ", most), "invalid_value");
  }
  return integer;
}

std::optional<uint64_t> Fields::Seed(absl::string_view name) {
  const boost::json::value* value = Get(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_uint64()) return value->get_uint64();
  const std::optional<int64_t> integer = AsInteger(*value, INT64_MIN, INT64_MAX);
  if (!integer) {
    Fail(name, absl::StrCat("'", name, "' must be an integer"), "invalid_type");
    return std::nullopt;
  }
  return static_cast<uint64_t>(*integer);
}

std::string Fields::String(absl::string_view name) {
  const boost::json::value* value = Get(name);
  if (value == nullptr) return std::string();
  if (value->is_string()) return std::string(value->get_string());
  Fail(name, absl::StrCat("'", name, "' must be a string"), "invalid_type");
  return std::string();
}

void Fields::Fail(absl::string_view name, absl::string_view message, absl::string_view code) {
  if (!error_) error_ = InvalidRequest(message, name, code);
}

void Fields::Refuse(absl::string_view name, absl::string_view what) {
  Fail(name, absl::StrCat(what, " is not supported by this server"), "unsupported_value");
}

}  // namespace baton::router
