// Early returns for absl::Status and absl::StatusOr.
#pragma once

#define SAED_CONCAT_INNER(a, b) a##b
#define SAED_CONCAT(a, b) SAED_CONCAT_INNER(a, b)

#define SAED_RETURN_IF_ERROR(expr)                                                \
  do {                                                                            \
    if (absl::Status saed_status = (expr); !saed_status.ok()) return saed_status; \
  } while (false)

#define SAED_ASSIGN_OR_RETURN(lhs, expr) \
  SAED_ASSIGN_OR_RETURN_IMPL(SAED_CONCAT(saed_or_, __LINE__), lhs, expr)

#define SAED_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                               \
  if (!tmp.ok()) return tmp.status();              \
  lhs = std::move(tmp).value()
