// Long times in which no unit fires: perhaps nothing was recorded then.
#pragma once

#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Silences longer than this many times the longest that chance would leave are said.
inline constexpr double kLongSilence = 20;

// The longest silence that a Poisson process of `events` in `seconds` is expected to leave, s. Its
// gaps are exponential with mean 1/R, R = events ÷ seconds, and the largest of n such gaps is
// (ln n + γ)/R on average, γ = 0.577 (Rényi 1953, Acta Mathematica Hungarica 4:191; David &
// Nagaraja, Order Statistics, 3rd edition, section 2.5); without γ, as the other terms are guesses
// too, ln(R·T)/R. Infinity for fewer than two events.
double LongestExpectedSilence(double events, double seconds);

// The stretches of observed time longer than `least` s in which no unit has a spike, ascending.
// Exact where `least` is over two parts in 4 million of the duration; shorter ones may be missed.
// Of a count matrix the bins without a count, which must be whole numbers.
Spans Silences(const Recording& recording, double least);

// Says which are longer than kLongSilence times what chance would leave, and how a view would leave
// them out.
void SaySilences(const Recording& recording, Notes& notes);

}  // namespace saed::recordings
