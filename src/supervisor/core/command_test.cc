#include "supervisor/core/command.h"

#include <gtest/gtest.h>

namespace havn::supervisor {
namespace {

using Words = std::vector<std::string>;

TEST(Command, plain_words_need_no_shell) {
    EXPECT_EQ(parse_command("  python3  app.py --port 80 "),
              (Command{Words{"python3", "app.py", "--port", "80"}, false}));
}

TEST(Command, a_simple_command_with_expansions_replaces_its_shell) {
    EXPECT_EQ(parse_command("app --port $PORT"),
              (Command{Words{"/bin/sh", "-c", "exec app --port $PORT"}, false}));
    EXPECT_EQ(parse_command("app 'two words' >out"),
              (Command{Words{"/bin/sh", "-c", "exec app 'two words' >out"}, false}));
}

TEST(Command, what_stands_in_quotes_is_no_list) {
    for (const char* text : {"python3 -c 'a; b'", "sh -c \"a && b\"", "x a\\;b", "x 'it' \"(y)\""}) {
        EXPECT_EQ(parse_command(text), (Command{Words{"/bin/sh", "-c", std::string("exec ") + text}, false}))
            << text;
    }
    for (const char* text : {"x \"$(a; b)\"", "x 'a'; b", "x \"a\" | b", "x \"`a`\""}) {
        EXPECT_TRUE(parse_command(text).shell_stays) << text;
    }
}

TEST(Command, what_exec_cannot_take_keeps_its_shell) {
    for (const char* text : {"a && b", "a | b", "a; b", "cd x; b", "FOO=1 app $X", "(a)",
                             "if true; then a; fi", "cd /x", "a $(b)", "a\nb"}) {
        EXPECT_EQ(parse_command(text), (Command{Words{"/bin/sh", "-c", text}, true})) << text;
    }
}

}  // namespace
}  // namespace havn::supervisor
