#include "client/cli/split_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

#include "client/cli/words.h"
#include "server/base/status_macros.h"

namespace saed::cli {
namespace {

// "I/N", with nothing before or behind.
bool Fold(const std::string& text, int& fold, int& folds) {
  const char *at = text.data(), *end = at + text.size();
  const auto first = std::from_chars(at, end, fold);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '/') return false;
  const auto second = std::from_chars(first.ptr + 1, end, folds);
  return second.ec == std::errc() && second.ptr == end && folds > 0;
}

}  // namespace

absl::StatusOr<std::pair<std::string, std::string>> TableAndFilter(const std::string& text,
                                                                   const char* flag) {
  const size_t bracket = text.find('[');
  if (bracket == std::string::npos) return std::pair(text, std::string());
  if (bracket == 0 || text.back() != ']') {
    return absl::InvalidArgumentError(fmt::format(
        "{} is '{}'; must be TABLE or 'TABLE[FILTER]', e.g. 'trials[outcome = hit]'", flag, text));
  }
  return std::pair(text.substr(0, bracket), text.substr(bracket + 1, text.size() - bracket - 2));
}

std::string NotEmpty(const std::string& value) {
  return value.empty() ? "is empty; leave the flag out, or name a table" : "";
}

void SplitFlags::AddTo(CLI::App& command) {
  constexpr const char* kGroup = "Split (left out: the server chooses and says what)";
  const auto add = [&](const char* name, auto& value, const char* help) {
    return command.add_option(name, value, help)->group(kGroup);
  };
  add("--split-trials", trials,
      "Whole rows of TABLE or TABLE[FILTER] train or are held out; the time around them trains, "
      "too, but is not scored")
      ->check(NotEmpty);
  add("--held-out", held_out,
      "Fraction that is held out; default: a third of the trials, 0.2 of each stretch of time");
  add("--order", order,
      "By which trials are dealt out: interleaved (default: evenly spaced in time), random, or "
      "blocks: runs of neighbours from five stretches")
      ->transform(OneOf({"interleaved", "random", "blocks"}));
  add("--split-seed", seed, "Of the random order");
  add("--stratify", stratify, "Hold out the same fraction of each value of this column of TABLE");
  add("--fold", fold, "I/N: of N folds number I, from 0, is held out, e.g. 0/5");
  add("--embargo", embargo,
      "Seconds beside what is held out that train nothing; default: up to 1 s, at least a window "
      "without a bin");
  add("--outside", outside, "Time outside the rows: trains (default) or left-out")
      ->transform(OneOf({"trains", "left-out"}));
  add("--split-time", time, "So many equal stretches of time, of which each holds out its end");
  add("--split", fraction, "Fraction of bins that train, from the start");
  add("--split-column", column, "Split by values of TABLE.COLUMN")->check(NotEmpty);
  add("--train-values", train_values,
      "Values that train: 3, 0-22, 0-99/2 (every second), even, odd, or a text");
  add("--test-values", test_values, "Values that are held out");
  command.add_flag("--in-sample", in_sample, "Train on everything; scores are not held out")
      ->group(kGroup);
}

absl::Status SplitFlags::CheckTogether() const {
  std::vector<std::string> kinds;
  if (!trials.empty()) kinds.emplace_back("--split-trials");
  if (time) kinds.emplace_back("--split-time");
  if (fraction) kinds.emplace_back("--split");
  if (!column.empty()) kinds.emplace_back("--split-column");
  if (in_sample) kinds.emplace_back("--in-sample");
  if (kinds.size() > 1) {
    return absl::InvalidArgumentError(
        fmt::format("{} are given; a training has one split", fmt::join(kinds, " and ")));
  }
  const auto needs = [](bool given, const char* flag, bool met, const char* what) {
    return !given || met ? absl::OkStatus()
                         : absl::InvalidArgumentError(fmt::format(
                               "{} is given without {}, which it is about", flag, what));
  };
  const bool by_trials = !trials.empty(), by_parts = by_trials || time;
  for (const absl::Status& status :
       {needs(held_out.has_value(), "--held-out", by_parts, "--split-trials or --split-time"),
        needs(embargo.has_value(), "--embargo", by_parts, "--split-trials or --split-time"),
        needs(!order.empty(), "--order", by_trials, "--split-trials"),
        needs(seed.has_value(), "--split-seed", order == "random", "--order random"),
        needs(!stratify.empty(), "--stratify", by_trials, "--split-trials"),
        needs(!fold.empty(), "--fold", by_trials, "--split-trials"),
        needs(!outside.empty(), "--outside", by_trials, "--split-trials"),
        needs(!train_values.empty(), "--train-values", !column.empty(), "--split-column"),
        needs(!test_values.empty(), "--test-values", !column.empty(), "--split-column")}) {
    SAED_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status SplitFlags::FillTrials(v1::TrialSplit& out) const {
  SAED_ASSIGN_OR_RETURN(const auto rows, TableAndFilter(trials, "--split-trials"));
  out.set_table(rows.first);
  out.set_filter(rows.second);
  out.set_order(order == "random"   ? v1::TRIAL_ORDER_RANDOM
                : order == "blocks" ? v1::TRIAL_ORDER_BLOCKS
                                    : v1::TRIAL_ORDER_INTERLEAVED);
  out.set_seed(seed.value_or(0));
  out.set_held_out(held_out.value_or(0));
  out.set_stratify(stratify);
  if (!fold.empty()) {
    int number = 0, folds = 0;
    if (!Fold(fold, number, folds)) {
      return absl::InvalidArgumentError(
          fmt::format("--fold is '{}'; must be I/N, the first being 0/N, e.g. 0/5", fold));
    }
    out.set_fold(number);
    out.set_folds(folds);
  }
  if (embargo) out.set_embargo(*embargo);
  out.set_outside(outside == "left-out" ? v1::OUTSIDE_LEFT_OUT : v1::OUTSIDE_TRAINS);
  return absl::OkStatus();
}

absl::Status SplitFlags::Fill(v1::Split& split) const {
  SAED_RETURN_IF_ERROR(CheckTogether());
  if (held_out && *held_out == 0) {
    return absl::InvalidArgumentError("--held-out is 0; must be above 0 and below 1, e.g. 0.2");
  }
  if (!trials.empty()) return FillTrials(*split.mutable_trials());
  if (time) {
    if (*time < 1) {
      return absl::InvalidArgumentError(
          fmt::format("--split-time is {}; must be 1 or more stretches, e.g. 5", *time));
    }
    split.mutable_time()->set_blocks(*time);
    split.mutable_time()->set_held_out(held_out.value_or(0));
    if (embargo) split.mutable_time()->set_embargo(*embargo);
  } else if (!column.empty()) {
    const size_t dot = column.rfind('.');
    if (dot == std::string::npos) {
      return absl::InvalidArgumentError(
          fmt::format("--split-column is '{}'; must be TABLE.COLUMN", column));
    }
    auto* by = split.mutable_column();
    by->set_table(column.substr(0, dot));
    by->set_column(column.substr(dot + 1));
    by->mutable_train_values()->Assign(train_values.begin(), train_values.end());
    by->mutable_test_values()->Assign(test_values.begin(), test_values.end());
  } else if (in_sample) {
    split.set_in_sample(true);
  } else if (fraction) {
    split.set_train_fraction(*fraction);
  }
  return absl::OkStatus();
}

std::string SplitText(const v1::Split& split) {
  switch (split.kind_case()) {
    case v1::Split::kTrainFraction:
      return fmt::format("the first {:g} of the time trains", split.train_fraction());
    case v1::Split::kInSample:
      return "none: everything trains, and scores are of what trained";
    case v1::Split::kTime:
      return fmt::format("the last {:g} of each of {} stretches of time is held out",
                         split.time().held_out() > 0 ? split.time().held_out() : 0.2,
                         split.time().blocks() > 0 ? split.time().blocks() : 5);
    case v1::Split::kColumn:
      return fmt::format("{}.{}: {} train, {} are held out", split.column().table(),
                         split.column().column(), fmt::join(split.column().train_values(), " "),
                         fmt::join(split.column().test_values(), " "));
    case v1::Split::kTrials: {
      const v1::TrialSplit& t = split.trials();
      const std::string rows =
          t.filter().empty() ? t.table() : fmt::format("{}[{}]", t.table(), t.filter());
      return t.folds() > 0
                 ? fmt::format("trials of {}: fold {} of {} is held out", rows, t.fold(), t.folds())
             : t.held_out() > 0
                 ? fmt::format("{:g} of the trials of {} are held out", t.held_out(), rows)
                 : fmt::format("a third of the trials of {} is held out", rows);
    }
    case v1::Split::KIND_NOT_SET:
      break;
  }
  return "";
}

}  // namespace saed::cli
