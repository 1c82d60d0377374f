// The flags that say which bins train and which are held out.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "saed/v1/types.pb.h"

namespace saed::cli {

// Of a flag: refuses '', as an unset variable of a shell gives it.
std::string NotEmpty(const std::string& value);

struct SplitFlags {
  std::optional<double> fraction;  // --split
  std::string trials, column;      // TABLE or TABLE[FILTER], TABLE.COLUMN
  std::optional<int> time;
  bool in_sample = false;
  std::vector<std::string> train_values, test_values;
  std::optional<double> held_out, embargo;
  std::string order, stratify, fold, outside;
  std::optional<uint64_t> seed;

  void AddTo(CLI::App& command);
  // Leaves `split` as it is where no flag was given. INVALID_ARGUMENT names the flag.
  absl::Status Fill(v1::Split& split) const;

 private:
  absl::Status CheckTogether() const;
  absl::Status FillTrials(v1::TrialSplit& out) const;
};

// In words what a split holds out; empty where none is said.
std::string SplitText(const v1::Split& split);

// "TABLE" or "TABLE[FILTER]", given with `flag`.
absl::StatusOr<std::pair<std::string, std::string>> TableAndFilter(const std::string& text,
                                                                   const char* flag);

}  // namespace saed::cli
