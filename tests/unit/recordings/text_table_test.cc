#include "server/recordings/readers/text_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "server/recordings/readers/text_cells.h"
#include "server/recordings/readers/time_tables.h"
#include "server/recordings/readers/unit_table.h"
#include "server/recordings/table_filter.h"

namespace saed::recordings {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsNan;

// Columns as "name: cell, cell" with "-" for what is missing, numbers in brackets.
std::string Read(std::string_view bytes, Notes& notes) {
  const auto table = ReadTextTable("a.csv", bytes, notes);
  if (!table.ok()) return std::string(table.status().message());
  std::string out;
  for (const Column& c : table->table.columns) {
    out += c.name + ":";
    if (const auto* numbers = std::get_if<Numbers>(&c.values)) {
      for (double v : *numbers) out += std::isnan(v) ? " [-]" : fmt::format(" [{}]", v);
    } else {
      for (const auto& t : std::get<Texts>(c.values)) out += t.empty() ? " -" : " " + t;
    }
    out += "; ";
  }
  return out;
}

std::string Read(std::string_view bytes) {
  Notes notes;
  return Read(bytes, notes);
}

std::string Lines(const Notes& notes) { return fmt::format("{}", fmt::join(notes.Lines(), "\n")); }

std::string Utf16(std::u16string_view text, bool big, bool mark) {
  std::string out;
  const auto add = [&](char16_t c) {
    const char low = static_cast<char>(c & 255), high = static_cast<char>(c >> 8);
    out += big ? high : low;
    out += big ? low : high;
  };
  if (mark) add(0xFEFF);
  for (char16_t c : text) add(c);
  return out;
}

TEST(TextTable, SeparatorsAndLineEnds) {
  const std::string want = "x: [1] [3]; k: a b; ";
  for (const char* text :
       {"x,k\n1,a\n3,b\n", "x\tk\n1\ta\n3\tb", "x;k\r\n1;a\r\n3;b\r\n", "x,k\r1,a\r3,b\r",
        "\xEF\xBB\xBFx,k\n1,a\n\n3,b\n\n", "# made by hand\n% twice\nx,k\n1,a\n3,b\n",
        "sep=;\nx;k\n1;a\n3;b\n", "\"x\",\"k\"\n\"1\", \"a\"\n3,\"b\"\n"}) {
    Notes notes;
    EXPECT_EQ(Read(text, notes), want) << text;
    EXPECT_THAT(notes.Lines(), IsEmpty()) << text;
  }
  EXPECT_EQ(Read("\"a;b\",c\n1,2\n"), "a;b: [1]; c: [2]; ");
  EXPECT_EQ(Read("x,k\n1,\"two\nlines, \"\"said\"\"\"\n"), "x: [1]; k: two\nlines, \"said\"; ");
  EXPECT_EQ(Read("x,k\n1,a # not a comment\n"), "x: [1]; k: a # not a comment; ");
}

TEST(TextTable, Encodings) {
  for (const bool big : {false, true}) {
    for (const bool mark : {false, true}) {
      EXPECT_EQ(Read(Utf16(u"x,k\r\n1,\u00b5\r\n2,\U0001F42D\r\n", big, mark)),
                "x: [1] [2]; k: \u00b5 \U0001F42D; ");
    }
  }
  Notes notes;
  EXPECT_EQ(Read("x,k\n1,\xb5\x80\n", notes), "x: [1]; k: \u00b5\u20ac; ");
  EXPECT_THAT(Lines(notes), HasSubstr("not UTF-8"));
  Notes nuls;
  EXPECT_EQ(Read({"x,k\n1,a\0b\n", 10}, nuls), "x: [1]; k: ab; ");
  EXPECT_THAT(Lines(nuls), HasSubstr("1 NUL bytes left out, the first is in line 2"));
}

TEST(TextTable, MissingCellsKeepColumnsNumeric) {
  EXPECT_EQ(Read("x,k\n1,a\n,\nNA,n/a\nnan,NaN\nN/A,<NA>\nNone,b\n2,null\ninf,c\n"),
            "x: [1] [-] [-] [-] [-] [-] [2] [inf]; k: a - - - - b - c; ");
  EXPECT_EQ(Read("x,k\n,a\n,b\n"), "x: [-] [-]; k: a b; ");
  // Words that programs take as missing, but a person could have meant.
  Notes notes;
  EXPECT_EQ(Read("k\nleft\nNone\nnone\n", notes), "k: left - none; ");
  EXPECT_THAT(Lines(notes), HasSubstr("'None' in line 3"));
}

TEST(TextTable, DecimalCommas) {
  EXPECT_EQ(Read("x;y;k\n1,5;2;a\n-0,25;1e3;b\n"), "x: [1.5] [-0.25]; y: [2] [1000]; k: a b; ");
  EXPECT_EQ(Read("x\ty\n1,5\t2\n"), "x: [1.5]; y: [2]; ");
  // Where numbers have points, commas are something else.
  EXPECT_EQ(Read("x;tags\n1.5;1,2\n2.5;3,4\n"), "x: [1.5] [2.5]; tags: 1,2 3,4; ");
  EXPECT_EQ(Read("x\tn\n1\t1,234\n2\t5,678\n"), "x: [1] [2]; n: 1,234 5,678; ");
  EXPECT_EQ(Read("x,n\n1,\"1,5\"\n"), "x: [1]; n: 1,5; ");
}

TEST(TextTable, Numbers) {
  for (const auto& [text, value] :
       std::vector<std::pair<std::string, double>>{{"1e3", 1000},
                                                   {"+1", 1},
                                                   {"-2.5E-1", -0.25},
                                                   {".5", 0.5},
                                                   {"5.", 5},
                                                   {" 7 ", 7},
                                                   {"-inf", -INFINITY},
                                                   {"Infinity", INFINITY},
                                                   {"1e-999", 0}}) {
    EXPECT_EQ(ParseNumber(text), value) << text;
  }
  for (const char* text : {"", "1_000", "0x10", "1,5", "1 2", "1s", "nan", "nan(1)", "+-1", "--1",
                           "1e", "True", "-", "1e999", "-1e400"}) {
    EXPECT_EQ(ParseNumber(text), std::nullopt) << text;
  }
  EXPECT_EQ(ParseNumber("1,5", true), 1.5);
  EXPECT_EQ(ParseNumber("1.234,5", true), std::nullopt);
}

TEST(TextTable, WholeNumbersThatADoubleHasNotAreSaid) {
  for (const char* text : {"9007199254740993", "-9007199254740993", "18446744073709551615",
                           "99999999999999999999999"}) {
    EXPECT_TRUE(IsRounded(text)) << text;
  }
  for (const char* text : {"9007199254740992", "123", "1e30", "0.1000000000000000055", "",
                           "9007199254740994", "+18014398509481984"}) {
    EXPECT_FALSE(IsRounded(text)) << text;
  }
  Notes notes(true);
  const auto got = ReadTextTable("t", "id,a\n9007199254740993,1\n5,2\n", notes);
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(notes.Lines().size(), 1u);
  EXPECT_EQ(notes.Lines()[0],
            "t: 1 whole number above 2^53 rounded, as numbers have 53 bits here, the first is "
            "'9007199254740993' in line 2");
  EXPECT_FALSE(notes.Strict().ok());
}

TEST(TextTable, WithoutAHeader) {
  Notes notes;
  TextRules rules;
  rules.headless = rules.exact = true;
  const auto got = ReadTextTable("t", "5;0,5\n6;\n", notes, rules);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_FALSE(got->headed);
  EXPECT_EQ(got->table.columns[1].name, "1");
  EXPECT_EQ(std::get<Numbers>(got->table.columns[0].values), (Numbers{5, 6}));
  EXPECT_EQ(std::get<Numbers>(got->table.columns[1].values)[0], 0.5);
  EXPECT_TRUE(ReadTextTable("t", "0,1,2\n5,6,7\n", notes, rules)->headed) << "as pandas";
  EXPECT_NE(ReadTextTable("t", "5,6\n7\n", notes, rules)
                .status()
                .message()
                .find("line 2: 1 cells where the header has 2"),
            std::string::npos);
  rules.words = [](size_t place, std::string_view) { return place == 0; };
  const auto words = ReadTextTable("t", "id,a\n007,1\n", notes, rules);
  EXPECT_EQ(std::get<Texts>(words->table.columns[0].values), Texts{"007"});
  EXPECT_EQ(std::get<Numbers>(words->table.columns[1].values), Numbers{1});
}

TEST(TextTable, PandasIndex) {
  Notes notes;
  auto table = ReadTextTable("a.csv", ",x\n0,5\n1,6\n", notes);
  ASSERT_TRUE(table.ok());
  EXPECT_TRUE(table->counts_rows);
  LeaveOutRowCount("a.csv", *table, notes);
  ASSERT_EQ(table->table.columns.size(), 1u);
  EXPECT_THAT(Lines(notes), HasSubstr("only counts the rows"));
  EXPECT_EQ(Read("Unnamed: 0,x\n4,5\n7,6\n"), "index: [4] [7]; x: [5] [6]; ");
  // R names the rows without a title.
  EXPECT_EQ(Read("x,y\na,5,6\nb,7,8\n"), "index: a b; x: [5] [7]; y: [6] [8]; ");
}

TEST(TextTable, RaggedRowsAndNames) {
  Notes notes;
  EXPECT_EQ(Read("x,k,\n1,a,\n2\n3,c,d,e\n4,d,,,\n", notes), "x: [1] [2] [4]; k: a - d; ");
  EXPECT_THAT(Lines(notes), HasSubstr("1 row filled up with missing cells, the first is line 3"));
  EXPECT_THAT(Lines(notes), HasSubstr("1 row dropped, the first is line 4: 4 cells"));
  Notes names;
  EXPECT_EQ(Read("x,x,,x_2\n1,2,3,4\n", names), "x: [1]; x_3: [2]; column_3: [3]; x_2: [4]; ");
  EXPECT_THAT(Lines(names), HasSubstr("column 2 is called 'x'; it is renamed to 'x_3'"));
}

TEST(TextTable, HeadersAndComments) {
  EXPECT_EQ(Read("# x y\n# x,y\n1,2\n"), "x: [1]; y: [2]; ");
  EXPECT_THAT(Read("1,2\n3,4\n"), HasSubstr("has no header: line 1 is '1,2'"));
  EXPECT_THAT(Read(""), HasSubstr("is empty"));
  EXPECT_THAT(Read("# only\n\n"), HasSubstr("is empty"));
  Notes notes;
  EXPECT_EQ(Read("x,y\n1,2\n#3,4\n", notes), "x: [1]; y: [2]; ");
  EXPECT_THAT(Lines(notes), HasSubstr("taken as comments: 1, the first is line 3"));
  Notes quote;
  EXPECT_EQ(Read("x,y\n1,\"a\n2,b\n", quote), "x: [1] [2]; y: \"a b; ");
  EXPECT_THAT(Lines(quote), HasSubstr("a quote in line 2 is never closed"));
}

TEST(TextTable, DoubtfulColumns) {
  Notes notes;
  const auto t = ReadTextTable("a.csv", "x\n1\n1_000\n3\n", notes);
  SayDoubts("a.csv", *t, notes);
  EXPECT_THAT(Lines(notes), HasSubstr("'1_000' in line 3"));
}

// The first example: two empty cells must not turn numbers into words.
TEST(Intervals, FiltersCompareNumbersBesideMissingCells) {
  Notes notes;
  const auto t =
      ParseIntervalsCsv("trials", "start_time,stop_time,rt\n0,1,10\n1,2,\n2,3,9\n3,4,\n", notes);
  ASSERT_TRUE(t.ok());
  const auto rows = [&](const char* filter) { return *MatchRows(t->table, filter); };
  EXPECT_THAT(rows("rt > 9"), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(rows("rt <= 10"), ElementsAre(1, 0, 1, 0));
  EXPECT_THAT(rows("rt != 9"), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(rows("NOT rt > 9"), ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(rows("rt > 9 OR start_time = 3"), ElementsAre(1, 0, 0, 1));
  EXPECT_THAT(rows("NOT (rt > 9 AND start_time = 1)"), ElementsAre(1, 0, 1, 1));
  EXPECT_THAT(DistinctValues(*t->table.Find("rt"), 9), ElementsAre("10", "9"));
  EXPECT_THAT(notes.Lines(), IsEmpty());
}

TEST(Intervals, BadRowsAreDroppedAndSaid) {
  Notes notes;
  const auto t =
      ParseIntervalsCsv("trials", "start_time,stop_time\n0,1\n,2\n2,\n5,4\n10,\n7,8\n", notes);
  ASSERT_TRUE(t.ok());
  EXPECT_THAT(t->start, ElementsAre(0, 10, 7));
  EXPECT_THAT(t->stop, ElementsAre(1, INFINITY, 8));
  EXPECT_THAT(Lines(notes), HasSubstr("3 rows dropped, the first is line 3"));
  Recording r;
  r.intervals.push_back(*t);
  ResolveOpenEnds(12, r, notes);
  EXPECT_THAT(r.intervals[0].stop, ElementsAre(1, 12, 8));
  EXPECT_EQ(std::get<Numbers>(r.intervals[0].table.Find("stop_time")->values)[1], 12);
  EXPECT_THAT(Lines(notes), HasSubstr("last to the end of the recording, 12 s"));
}

TEST(Intervals, TablesWithoutRowsAreLeftOut) {
  Notes notes;
  Recording r;
  r.intervals.push_back(*ParseIntervalsCsv("none", "start_time,stop_time\n2,1\n", notes));
  ResolveOpenEnds(12, r, notes);
  EXPECT_THAT(r.intervals, IsEmpty());
  EXPECT_THAT(Lines(notes), HasSubstr("none: left out, as it has no row"));
}

TEST(Intervals, NamesOfTheField) {
  Notes notes;
  auto t = ParseIntervalsCsv("e", "onset\tduration\ttrial_type\n1\t0.5\tgo\n2\tn/a\tstop\n", notes);
  ASSERT_TRUE(t.ok()) << t.status();
  EXPECT_THAT(t->start, ElementsAre(1, 2));
  EXPECT_THAT(t->stop, ElementsAre(1.5, 2));
  EXPECT_EQ(std::get<Texts>(t->table.Find("trial_type")->values)[1], "stop");
  EXPECT_THAT(Lines(notes), HasSubstr("1 missing duration taken as 0, the first is line 3"));
  t = ParseIntervalsCsv("e", "begin,end\n1,2\n", notes);
  EXPECT_THAT(t->stop, ElementsAre(2));
  t = ParseIntervalsCsv("e", "Start Time (s),Stop_Time\n1,2\n", notes);
  EXPECT_THAT(t->start, ElementsAre(1));
  t = ParseIntervalsCsv("e", "timestamp,code\n1,2\n4,5\n", notes);
  EXPECT_THAT(t->stop, ElementsAre(1, 4));
  for (const auto& [text, words] : std::vector<std::pair<std::string, std::string>>{
           {"a,b\n1,2\n", "has no column of starts; it has a, b"},
           {"start,onset,stop\n1,2,3\n", "start and onset, which both could be start_time"},
           {"start_ms,stop_ms\n1,2\n", "start_ms, which seems to be in milliseconds"},
           {"start_time,kind\n1,2\n", "has starts but no column of stops"},
           {"start_time,stop_time\nx,2\ny,3\n", "holds 'x' in the column start_time in line 2"}}) {
    const auto refused = ParseIntervalsCsv("e", text, notes);
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr(words)) << text;
  }
}

TEST(Series, WordsAndMissingValues) {
  Notes notes;
  const auto s =
      ParseSeriesCsv("run", ",time,x,who\n0,0.5,1,a\n1,1.5,,b\n2,2.5,ERR,c\n3,3,4,d\n", notes);
  ASSERT_TRUE(s.ok()) << s.status();
  EXPECT_THAT(s->timestamps, ElementsAre(0.5, 1.5, 2.5, 3));
  EXPECT_THAT(s->channels, ElementsAre("x"));
  EXPECT_THAT(s->values, ElementsAre(1, IsNan(), IsNan(), 4));
  EXPECT_THAT(Lines(notes), HasSubstr("the column 'who' left out"));
  EXPECT_THAT(Lines(notes), HasSubstr("'ERR' in line 4"));
  EXPECT_THAT(std::string(ParseSeriesCsv("run", "time_ms,x\n1,2\n", notes).status().message()),
              HasSubstr("seems to be in milliseconds"));
  EXPECT_FALSE(ParseSeriesCsv("run", "x,y\n1,2\n", notes).ok());
  EXPECT_FALSE(ParseSeriesCsv("run", "time\n1\n", notes).ok());
}

Recording Three() {
  Recording r;
  r.units.resize(3);
  for (int64_t n = 0; n < 3; ++n) r.units[n].id = 10 + n;
  return r;
}

TEST(UnitTable, ColumnsById) {
  Recording r = Three();
  Notes notes;
  const auto s = AddUnitColumns(
      "units",
      "cluster_id,brain_area,quality,depth,snr\n12,VISp,good,120,2.5\n10,CA1,,,\n99,a,b,1,2\n",
      false, r, notes);
  ASSERT_TRUE(s.ok()) << s;
  EXPECT_EQ(r.units[0].region, "CA1");
  EXPECT_EQ(r.units[2].region, "VISp");
  EXPECT_EQ(r.units[2].label, "good");
  EXPECT_EQ(r.units[2].depth, 120);
  EXPECT_THAT(r.units[0].depth, IsNan());
  EXPECT_THAT(std::get<Numbers>(r.unit_columns.Find("snr")->values),
              ElementsAre(IsNan(), IsNan(), 2.5));
  EXPECT_THAT(Lines(notes), HasSubstr("1 row of no unit of the recording left out"));
  EXPECT_THAT(Lines(notes), HasSubstr("1 of 3 units have no row"));
  EXPECT_FALSE(AddUnitColumns("units", "name,area\na,b\n", false, r, notes).ok());
}

TEST(UnitTable, UnitsWithoutSpikesAreDeclared) {
  Recording r = Three();
  r.unit_columns.columns.push_back({"snr", Numbers{1, 2, 3}});
  Notes notes(true);
  const auto s = AddUnitColumns("units", "id,region\n11,CA1\n7,V1\n40,\n10,\n", true, r, notes);
  ASSERT_TRUE(s.ok()) << s;
  ASSERT_EQ(r.units.size(), 5u);
  EXPECT_EQ(r.units[0].id, 7);
  EXPECT_EQ(r.units[0].region, "V1");
  EXPECT_EQ(r.units[4].id, 40);
  EXPECT_THAT(std::get<Numbers>(r.unit_columns.Find("snr")->values),
              ElementsAre(IsNan(), 1, 2, 3, IsNan()));
  EXPECT_THAT(Lines(notes), HasSubstr("2 of its units have no spikes and are taken as silent, the "
                                      "first is in line 3"));
  EXPECT_TRUE(notes.Strict().ok());
}

TEST(UnitTable, ThatOfAnotherRecordingIsRefused) {
  Recording r = Three();
  Notes notes;
  const auto s = AddUnitColumns("units", "id,region\n901,CA1\n902,V1\n", true, r, notes);
  EXPECT_THAT(std::string(s.message()), HasSubstr("names no unit of the recording"));
  EXPECT_THAT(std::string(s.message()), HasSubstr("the units are 10, 11, 12"));
  EXPECT_EQ(r.units.size(), 3u);
}

TEST(UnitTable, IndexIsTheIdAndOriginalIdsAreKnown) {
  Recording r = Three();
  for (int64_t n = 0; n < 3; ++n) r.units[n].id = n;
  Notes notes;
  ASSERT_TRUE(AddUnitColumns("units", ",area\n0,a\n1,b\n2,c\n", false, r, notes).ok());
  EXPECT_EQ(r.units[1].region, "b");
  r.unit_columns.columns.push_back({"original_id", Texts{"p1", "p2", "p3"}});
  ASSERT_TRUE(AddUnitColumns("units", "unit_id,area\np3,z\n", false, r, notes).ok());
  EXPECT_EQ(r.units[2].region, "z");
  EXPECT_EQ(r.units[1].region, "b");
}

}  // namespace
}  // namespace saed::recordings
