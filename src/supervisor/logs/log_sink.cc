#include "supervisor/logs/log_sink.h"

namespace havn::supervisor {

namespace {

class FileSink final : public LogSink {
  public:
    FileSink(const std::string& path, io::RotatingFile::Limits limits) : file_(path, limits) {}
    Result<> write(std::string_view data) override { return file_.write(data); }

  private:
    io::RotatingFile file_;
};

}  // namespace

std::unique_ptr<LogSink> open_log_file(const std::string& path, io::RotatingFile::Limits limits) {
    return std::make_unique<FileSink>(path, limits);
}

}  // namespace havn::supervisor
