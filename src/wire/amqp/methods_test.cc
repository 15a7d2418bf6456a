#include "wire/amqp/methods.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <vector>

#include "wire/amqp/table.h"

namespace havn::amqp {
namespace {

// Puts a value into every field that a wrong codec would not give back.
struct Fill {
    Table table;
    unsigned bits = 0;

    void operator()(Octet& value) { value = 0xA5; }
    void operator()(Short& value) { value = 0xA55A; }
    void operator()(Long& value) { value = 0xDEADBEEF; }
    void operator()(LongLong& value) { value = 0x0123456789ABCDEF; }
    void operator()(ShortString& value) { value = "a short string"; }
    void operator()(LongString& value) { value = "a long string"; }
    void operator()(Table& value) { value = table; }
    void operator()(Bit& value) { value = ++bits % 2 == 1; }
};

template <class Method>
std::string frame_of(const Method& method) {
    std::string out;
    append_method(out, 7, method);
    return out;
}

template <class Method>
void comes_back_as_it_went() {
    SCOPED_TRACE(Method::title);
    TableWriter table;
    table.integer("number", -5).text("text", "value").boolean("yes", true);
    Method method;
    visit(method, Fill{table.table()});
    const std::string bytes = frame_of(method);
    EXPECT_EQ(bytes.size(), method_frame_size(method));
    const FrameParse parsed = parse_frame(bytes, 0);
    ASSERT_EQ(parsed.status, Parse::complete);
    EXPECT_EQ(parsed.eaten, bytes.size());
    EXPECT_EQ(parsed.frame.channel, 7);
    EXPECT_EQ(load<MethodId>(parsed.frame.payload.data()), Method::id);
    const std::string_view arguments = parsed.frame.payload.substr(4);
    EXPECT_EQ(decode<Method>(arguments), method);
    EXPECT_EQ(decode<Method>(std::string(arguments) + 'x'), std::nullopt) << "bytes left over";
    for (std::size_t cut = 0; cut < arguments.size(); ++cut) {
        EXPECT_EQ(decode<Method>(arguments.substr(0, cut)), std::nullopt) << "cut after " << cut;
    }
}

TEST(EveryMethod, comes_back_as_it_went) {
#define METHOD(Class, class_number, Name, method_number, has_content, ...) \
    comes_back_as_it_went<Class##Name>();
#include "wire/amqp/methods.def"
#undef METHOD
}

TEST(EveryMethod, is_known_by_its_name) {
#define METHOD(Class, class_number, Name, method_number, has_content, ...)            \
    EXPECT_EQ(method_name(method_id(class_number, method_number)), #Class "." #Name); \
    EXPECT_TRUE(is_known_method(method_id(class_number, method_number)));
#include "wire/amqp/methods.def"
#undef METHOD
    EXPECT_FALSE(is_known_method(method_id(60, 61)));
    EXPECT_EQ(method_name(0), "unknown");
}

TEST(Bits, share_an_octet_with_the_first_lowest) {
    QueueDeclare method;
    method.durable = true;      // the second of five
    method.auto_delete = true;  // the fourth
    const std::string bytes = frame_of(method);
    const std::string expected("\x01\0\x07\0\0\0\x0c\0\x32\0\x0a\0\0\0\x0a\0\0\0\0\xce", 20);
    EXPECT_EQ(bytes, expected);
}

TEST(AMethod, with_a_broken_table_is_malformed) {
    // queue.unbind: short 0, three empty strings, a table of 3 bytes that names no type.
    EXPECT_EQ(decode<QueueUnbind>(std::string_view("\0\0\0\0\0\0\0\0\x03\x01k?", 12)), std::nullopt);
    EXPECT_NE(decode<QueueUnbind>(std::string_view("\0\0\0\0\0\0\0\0\x03\x01kV", 12)), std::nullopt);
}

// The table compared with the specification's XML, as Debian packages it.

constexpr const char* specification = "/usr/share/amqp/specs/0-9-1-rabbit/amqp0-9-1.stripped.extended.xml";

struct Row {
    std::string name;  // "queue.declare-ok"
    MethodId id = 0;
    bool content = false;
    std::vector<std::string> types;

    bool operator==(const Row&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Row& row) {
    out << row.name << ' ' << std::hex << row.id << (row.content ? " content" : "");
    for (const std::string& type : row.types) out << ' ' << type;
    return out;
}

std::string attribute(const std::string& tag, const std::string& name) {
    std::smatch found;
    return std::regex_search(tag, found, std::regex("\\b" + name + "\\s*=\\s*\"([^\"]*)\"")) ? found[1].str()
                                                                                             : "";
}

std::map<MethodId, Row> rows_of_specification(const std::string& xml) {
    std::map<std::string, std::string> domains;
    std::map<MethodId, Row> rows;
    std::string class_name;
    int class_id = 0;
    Row* row = nullptr;
    const std::regex tags("<(/?)(domain|class|method|field)\\b([^>]*)>");
    for (auto at = std::sregex_iterator(xml.begin(), xml.end(), tags); at != std::sregex_iterator(); ++at) {
        const bool ends = !(*at)[1].str().empty();
        const std::string kind = (*at)[2], text = (*at)[3];
        if (ends) {
            if (kind == "method") row = nullptr;
        } else if (kind == "domain") {
            domains[attribute(text, "name")] = attribute(text, "type");
        } else if (kind == "class") {
            class_name = attribute(text, "name");
            class_id = std::stoi(attribute(text, "index"));
        } else if (kind == "method") {
            const MethodId id = method_id(static_cast<std::uint16_t>(class_id),
                                          static_cast<std::uint16_t>(std::stoi(attribute(text, "index"))));
            row = &rows[id];
            *row = {class_name + "." + attribute(text, "name"), id, attribute(text, "content") == "1", {}};
            if (text.ends_with('/')) row = nullptr;
        } else if (row) {
            const std::string domain = attribute(text, "domain");
            const std::string type = domain.empty() ? attribute(text, "type") : domain;
            row->types.push_back(domains.contains(type) ? domains[type] : type);
        }
    }
    return rows;
}

struct NameTypes {
    std::vector<std::string>& types;

    void operator()(Octet&) { types.push_back("octet"); }
    void operator()(Short&) { types.push_back("short"); }
    void operator()(Long&) { types.push_back("long"); }
    void operator()(LongLong&) { types.push_back("longlong"); }
    void operator()(ShortString&) { types.push_back("shortstr"); }
    void operator()(LongString&) { types.push_back("longstr"); }
    void operator()(Table&) { types.push_back("table"); }
    void operator()(Bit&) { types.push_back("bit"); }
};

// "Queue", "DeclareOk" → "queue.declare-ok"
std::string specification_name(std::string_view class_name, std::string_view name) {
    std::string text;
    for (const char c : class_name) text.push_back(static_cast<char>(std::tolower(c)));
    text.push_back('.');
    for (const char c : name) {
        if (std::isupper(c) && !text.ends_with('.')) text.push_back('-');
        text.push_back(static_cast<char>(std::tolower(c)));
    }
    return text;
}

TEST(TheTable, agrees_with_the_specification) {
    std::ifstream file(specification);
    if (!file) GTEST_SKIP() << "Debian package amqp-specs is not installed";
    std::stringstream text;
    text << file.rdbuf();
    std::map<MethodId, Row> wanted = rows_of_specification(text.str());
    EXPECT_GT(wanted.size(), 55u);
#define METHOD(Class, class_number, Name, method_number, has_content, ...)            \
    if (const auto found = wanted.find(Class##Name::id); found != wanted.end()) {     \
        Row row{specification_name(#Class, #Name), Class##Name::id, has_content, {}}; \
        Class##Name method;                                                           \
        visit(method, NameTypes{row.types});                                          \
        EXPECT_EQ(row, found->second);                                                \
        wanted.erase(found);                                                          \
    }
#include "wire/amqp/methods.def"
#undef METHOD
    EXPECT_TRUE(wanted.empty()) << "not in the table: " << wanted.begin()->second;
}

}  // namespace
}  // namespace havn::amqp
