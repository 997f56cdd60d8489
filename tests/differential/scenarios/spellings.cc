// How a pid, a number and a flag may be written (spec 6.3, 9.2). The tables are generated:
// each form around each number. Left out are forms that make another, possible pid of it.
#include <fmt/format.h>

#include "differential/scenarios.h"

namespace corral::differential {
namespace {

std::string Replaced(std::string text, const std::string& number) {
  if (const auto at = text.find('#'); at != text.npos) text.replace(at, 1, number);
  return text;
}

// Bytes with NUL in them.
std::string Bytes(const char* text, std::size_t size) { return std::string(text, size); }

// '#' is the number.
std::vector<std::string> Forms() {
  std::vector<std::string> forms = {
      "#",     "#\n",   "#\n\n", " #",    "# ",  "\t#",
      "\n#",   "#\t",   "#\v",   "#\f",   "#\r", " \t\n\v\f\r# \t\n\v\f\r",
      "\xa0#", "#\xa0", "\x85#", "+#",    "++#", "-#",
      "- #",   "+ #",   "+-#",   "#+",    "# x", "#x",
      "x#",    "#.0",   "#,",    "#;",    "0o#", "0b#",
      "#e0",   "#L",    "#u",    "\"#\"", "'#'", "(#)",
      "#/",    "# #",   "#\n#",  "\\#",   "#%"};
  forms.push_back(Bytes("#\0", 2));
  forms.push_back(Bytes("#\0junk", 6));
  forms.push_back(Bytes("\0#", 2));
  forms.push_back(Bytes("# \0x", 4));
  forms.push_back(Bytes("#\n\0", 3));
  forms.push_back(Bytes(" \0#", 3));
  return forms;
}

// Tries one text on `file`, and says whether the task is there then.
std::string Tried(Stage& stage, const std::string& file, const std::string& text, Tid task) {
  Write(stage.At("tasks"), Text(task));
  const std::string seen = Write(stage.At(file), text);
  return fmt::format("{}{}", seen.find_first_not_of("0123456789") == seen.npos ? "taken" : seen,
                     stage.Lists("a/tasks", task) ? ", moved" : "");
}

// clang-format off: tables of spellings
const char* const kNumbers[] = {"",
                                "\n",
                                " ",
                                "-",
                                "+",
                                "x",
                                "-1",
                                "-0",
                                "+0",
                                "00",
                                "-00",
                                " -0 ",
                                "+-0",
                                "0x0",
                                "0x",
                                "0X",
                                "08",
                                "09",
                                "0 0",
                                "1 2",
                                "1\n2",
                                "0\n\n",
                                "-2147483648",
                                "-2147483649",
                                "2147483647",
                                "2147483648",
                                "2147483649",
                                "4294967295",
                                "4294967296",
                                "4294967297",
                                "9223372036854775807",
                                "9223372036854775808",
                                "18446744073709551615",
                                "18446744073709551616",
                                "18446744073709551617",
                                "99999999999999999999999999",
                                "-99999999999999999999",
                                "99999999",
                                "4194304",
                                "4194305",
                                "0x7fffffff",
                                "0x80000000",
                                "0xffffffff",
                                "0x100000000",
                                "017777777777",
                                "020000000000",
                                "000000000000000000000000000000",
                                "111111111111111111111111111111",
                                "null",
                                "nan",
                                "inf",
                                "self",
                                "true",
                                "1e1",
                                "0x1p3",
                                "\xef\xbc\x90",
                                "\xd9\xa1",
                                "--0",
                                "- 0"};

const char* const kFlags[] = {"",
                              "0",
                              "1",
                              "2",
                              "9",
                              "10",
                              "-1",
                              "+1",
                              "-0",
                              "+0",
                              "++1",
                              "--1",
                              "+-1",
                              "01",
                              "010",
                              "08",
                              "0x1",
                              "0x0",
                              "0X10",
                              "0x",
                              "0x\n",
                              "1\n",
                              "0\n",
                              "1\n\n",
                              "\n1",
                              "\n",
                              " 1",
                              "1 ",
                              "1\t",
                              "\t1",
                              "1\r\n",
                              "1\v",
                              " ",
                              "1x",
                              "x",
                              "x1",
                              "true",
                              "on",
                              "y",
                              "yes",
                              "enable",
                              "1.0",
                              "1,",
                              "1 0",
                              "0 1",
                              "1\n2",
                              "0b1",
                              "0o1",
                              "1e0",
                              "00",
                              "000000000000000000000000",
                              "000000000000000000000001",
                              "4294967295",
                              "4294967296",
                              "0x100000000",
                              "9223372036854775807",
                              "9223372036854775808",
                              "18446744073709551615",
                              "18446744073709551616",
                              "99999999999999999999999999",
                              "0xffffffffffffffff",
                              "0x10000000000000000",
                              "01777777777777777777777",
                              "02000000000000000000000",
                              "+0x1",
                              "-1\n",
                              "- 1",
                              "+ 1",
                              "\xa0"
                              "1",
                              "1\xa0"};
// clang-format on

std::string Taken(const std::string& seen) {
  return seen.find_first_not_of("0123456789") == seen.npos ? "taken" : seen;
}

}  // namespace

void SpellingsOfAPid(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  const Tid task = stage.Start("task");
  const std::string decimal = Text(task), hex = fmt::format("{:x}", task.value),
                    octal = fmt::format("{:o}", task.value);
  for (const std::string& form : Forms()) {
    stage.Note("tasks " + form, Tried(stage, "a/tasks", Replaced(form, decimal), task));
    stage.Note("cgroup.procs " + form,
               Tried(stage, "a/cgroup.procs", Replaced(form, decimal), task));
  }
  // A hexadecimal number without a letter in it would be a decimal one: use the forms that
  // cannot be misread.
  for (const char* form :
       {"0x#", "0X#", " 0x#\n", "+0x#", "-0x#", "0x0#", "00x#", "0x #", "0x#g", "0x+#", "$#"}) {
    stage.Note(fmt::format("hexadecimal {}", form),
               Tried(stage, "a/tasks", Replaced(form, hex), task));
  }
  for (const char* form : {"0#", "00#", "+0#", "-0#", "0o#", "0#8", "0#.", "0 #"}) {
    stage.Note(fmt::format("octal {}", form), Tried(stage, "a/tasks", Replaced(form, octal), task));
  }
}

void SpellingsOfNumbers(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  for (const char* number : kNumbers) {
    for (const char* file : {"tasks", "cgroup.procs"}) {
      // In a child: 0 moves the caller.
      stage.Note(fmt::format("{} '{}'", file, number), stage.Child([&] {
        const Tid self{static_cast<std::uint32_t>(::getpid())};
        const std::string seen = Taken(Write(stage.At("a/") + file, number));
        return seen + (stage.Lists("a/tasks", self) ? ", moved" : "");
      }));
    }
  }
  stage.Note("a NUL alone", Write(stage.At("a/tasks"), std::string(1, '\0')));
}

void LongWrites(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  const Tid task = stage.Start("task");
  const std::string text = Text(task);
  for (const std::size_t size : {100u, 4094u, 4095u, 4096u, 4097u, 5000u, 65536u, 200000u}) {
    const std::string blanks(size - text.size(), ' '), nuls(size - text.size(), '\0');
    const std::string step = fmt::format("{} bytes, ", size);
    stage.Note(step + "blanks before a pid", Tried(stage, "a/tasks", blanks + text, task));
    stage.Note(step + "blanks behind a pid", Tried(stage, "a/tasks", text + blanks, task));
    stage.Note(step + "NULs behind a pid", Tried(stage, "a/tasks", text + nuls, task));
    stage.Note(step + "a pid among processes", Tried(stage, "a/cgroup.procs", blanks + text, task));
    stage.Note(step + "junk", Tried(stage, "a/tasks", std::string(size, 'x'), task));
    stage.Note(step + "blanks before a flag",
               Taken(Write(stage.At("a/notify_on_release"), std::string(size - 1, ' ') + "1")));
    stage.Note(step + "zeros before a flag",
               Taken(Write(stage.At("a/notify_on_release"), std::string(size - 1, '0') + "1")));
    stage.Note(step + "NULs behind a flag", Taken(Write(stage.At("a/cgroup.clone_children"),
                                                        "1" + std::string(size - 1, '\0'))));
    stage.Note(step + "to a file that is only read",
               Write(stage.At("cgroup.sane_behavior"), std::string(size, '1')));
  }
  stage.Note("at an offset", [&] {
    const Fd file(::open(stage.At("a/tasks").c_str(), O_WRONLY | O_CLOEXEC));
    return Taken(Outcome(::pwrite(file.get(), text.data(), text.size(), 10'000'000)));
  }());
}

void SpellingsOfAFlag(Stage& stage) {
  stage.Mount();
  stage.Mkdir("a");
  std::vector<std::string> texts(std::begin(kFlags), std::end(kFlags));
  texts.push_back(Bytes("\0", 1));
  texts.push_back(Bytes("1\0", 2));
  texts.push_back(Bytes("1\0x", 3));
  texts.push_back(Bytes("0\0", 2));
  texts.push_back(Bytes("\0001", 2));
  texts.push_back(Bytes("1\n\0", 3));
  for (const char* name : {"notify_on_release", "cgroup.clone_children"}) {
    const std::string file = stage.At("a/") + name;
    for (const std::string& text : texts) {
      std::string seen;
      for (const char* before : {"0", "1"}) {
        Write(file, before);
        seen += Taken(Write(file, text)) + " " + Read(file) + " ";
      }
      stage.Note(fmt::format("{} '{}'", name, text), seen);
    }
  }
}

}  // namespace corral::differential
