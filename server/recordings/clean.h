// What is wrong in a recording but can be mended without guessing: each is mended, and said in one
// line of the notes.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "server/recordings/readers/notes.h"
#include "server/recordings/recording.h"

namespace saed::recordings {

// Sorts trains that are not ascending; drops spikes that are no finite time, before 0 or after
// `end` (s; infinity where it is not known). Trains are read at most once; those in a file are
// mended there, or where others hold parts of the file all go to a new one, in bounded memory. An
// error where there is no room for it.
absl::Status CleanSpikes(double end, Recording& recording, Notes& notes);

// Ids that come twice: all units are numbered from 0, and the column `original_id` has their own.
void CleanUnitIds(Recording& recording, Notes& notes);

// Makes all NaN of tables and series the same one, so that what is equal has one digest.
void OneNan(Recording& recording);

// Columns of one name, which those may become whose names differ in bytes that are no text, get a
// number behind it. `part` names the table in the notes.
void NameColumnsApart(const std::string& part, Table& table, Notes& notes);

// Leaves out columns that have not one value for each row (of units, electrodes and intervals),
// unit columns whose names or texts are so long that all units together would not fit the store,
// tables without a start and stop for each row, and rows that have no finite start or stop before
// it. Tables of one name, and columns of one in a table, get a number behind it.
void CleanTables(Recording& recording, Notes& notes);

// Drops the samples before 0, and of the others as few as leave the times finite and none before
// the one before. `part` names the series in the notes. False, which is noted, where it has to be
// left out: where more than half of the others would be lost, none is left, or it has not a value
// for each of them.
bool CleanSamples(std::string_view part, Series& series, Notes& notes);

// Does so for all series. Series of one name get a number behind it.
void CleanSeries(Recording& recording, Notes& notes);

// Leaves out spans that are none, joins those that touch and cuts all to [0, recording.duration).
// Where no span is left, nothing was observed. Units that were never observed are said.
void CleanObserved(Recording& recording, Notes& notes);

}  // namespace saed::recordings
