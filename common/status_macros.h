#pragma once

// Early return for absl::Status. The only macros of the project besides the test framework's.

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the enclosing function if `expr` (an absl::Status) is not ok.
#define BATON_RETURN_IF_ERROR(expr)                \
  do {                                             \
    absl::Status baton_status_ = (expr);           \
    if (!baton_status_.ok()) return baton_status_; \
  } while (false)

#define BATON_CONCAT_INNER_(a, b) a##b
#define BATON_CONCAT_(a, b) BATON_CONCAT_INNER_(a, b)

// `lhs` (a declaration or an lvalue) receives the value of `expr` (an absl::StatusOr), or the function
// returns its error.
#define BATON_ASSIGN_OR_RETURN(lhs, expr)                                                           \
  auto BATON_CONCAT_(baton_or_, __LINE__) = (expr);                                                 \
  if (!BATON_CONCAT_(baton_or_, __LINE__).ok()) return BATON_CONCAT_(baton_or_, __LINE__).status(); \
  lhs = std::move(BATON_CONCAT_(baton_or_, __LINE__)).value()
