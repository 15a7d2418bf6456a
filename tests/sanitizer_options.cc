// Where a sanitized binary reports: files of one folder, because the output of a supervised process ends in a
// log nobody asserts on, and its environment is not the test's. tests/e2e/conftest.py makes the folder and
// fails the test that left a report.
extern "C" {

const char* __asan_default_options();
const char* __ubsan_default_options();
const char* __tsan_default_options();

const char* __asan_default_options() {
    return "log_path=/tmp/havn-sanitizer/report:detect_stack_use_after_return=1:detect_leaks=0";
}
const char* __ubsan_default_options() {
    return "log_path=/tmp/havn-sanitizer/report:print_stacktrace=1";
}
const char* __tsan_default_options() {
    return "log_path=/tmp/havn-sanitizer/report:second_deadlock_stack=1";
}

}  // extern "C"
