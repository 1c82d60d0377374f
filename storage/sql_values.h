// Nullable columns and packed numbers.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstring>
#include <optional>
#include <vector>

namespace saed::storage {

inline std::optional<int64_t> Integer(const SQLite::Column& c) {
  if (c.isNull()) return std::nullopt;
  return c.getInt64();
}

inline std::optional<double> Real(const SQLite::Column& c) {
  if (c.isNull()) return std::nullopt;
  return c.getDouble();
}

template <class T>
void Bind(SQLite::Statement& s, int at, const std::optional<T>& value) {
  if (value) {
    s.bind(at, *value);
  } else {
    s.bind(at);
  }
}

inline std::vector<float> Floats(const SQLite::Column& c) {
  std::vector<float> out(static_cast<size_t>(c.getBytes()) / sizeof(float));
  if (!out.empty()) std::memcpy(out.data(), c.getBlob(), out.size() * sizeof(float));
  return out;
}

// The vector must live until the statement ran.
inline void BindFloats(SQLite::Statement& s, int at, const std::vector<float>& values) {
  s.bindNoCopy(at, values.data(), static_cast<int>(values.size() * sizeof(float)));
}

}  // namespace saed::storage
