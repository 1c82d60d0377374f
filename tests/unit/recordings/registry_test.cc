#include "server/recordings/readers/registry.h"

#include <gtest/gtest.h>

#include <set>

#include "server/recordings/import.h"

namespace saed::recordings {
namespace {

// What a new format must bring: the registry's line, the page and the code agree.
TEST(Registry, EveryFormatHasAPageThatNamesItsOptions) {
  std::set<std::string> names;
  for (const Reader* reader : Readers()) {
    EXPECT_TRUE(names.insert(reader->name).second) << reader->name;
    EXPECT_FALSE(reader->title.empty()) << reader->name;
    EXPECT_FALSE(reader->needs.empty()) << reader->name;
    EXPECT_FALSE(reader->files.empty()) << reader->name;
    EXPECT_EQ(*FindReader(reader->name), reader);
    const auto page =
        ReadFile(SAED_SOURCE_DIR "/server/recordings/readers/formats/" + reader->name + ".md");
    ASSERT_TRUE(page.ok()) << reader->name << ": " << page.status();
    for (const OptionInfo& option : reader->options) {
      const bool named = page->find("`" + option.name) != std::string::npos ||
                         page->find("--option " + option.name + "=") != std::string::npos;
      EXPECT_TRUE(named) << reader->name << ".md says nothing of the option " << option.name;
    }
  }
}

TEST(Registry, NoFormatIsSureOfNothing) {
  for (const Reader* reader : Readers()) {
    EXPECT_EQ(reader->recognise(FileSet()), Match::kNo) << reader->name;
    EXPECT_EQ(reader->recognise(FileSet(std::vector<FileSketch>{{"a/notes.bin", 4, "1234", "1234"},
                                                                {"b.dat", 0, "", ""}})),
              Match::kNo)
        << reader->name;
  }
}

TEST(Registry, ASketchWithoutANameIsLookedAtLikeAnyOther) {
  const FileSet files(std::vector<FileSketch>{{"", 4, "1234", "1234"}});
  EXPECT_EQ(files.Sketch("").size, 4);
  for (const Reader* reader : Readers()) EXPECT_EQ(reader->recognise(files), Match::kNo);
}

}  // namespace
}  // namespace saed::recordings
