// For tests: a disk in memory that keeps apart what was not synced, and forgets any part of it when told to
// crash.
//
// What it may do to unsynced work is what a real one may: writes reach it in any order, in pieces of 512
// bytes, and the piece in flight may be torn at any byte; creations, renames and removals reach it late,
// those of one file in order.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "broker/log/storage.h"

namespace havn::broker {

class LossyDisk {
  public:
    struct Inode {
        struct Change {
            bool truncation = false;
            std::uint64_t offset = 0;
            std::string data;
        };
        std::string now, durable;
        std::vector<Change> unsynced;
    };
    using Names = std::map<std::string, std::shared_ptr<Inode>>;

    Names names, durable_names;
    struct NameChange {
        std::shared_ptr<Inode> inode;
        std::string gone, added;  // either may be empty
    };
    std::vector<NameChange> unsynced_names;  // in order
    bool full = false;                       // nothing may grow
    bool syncs_fail = false;
    int opens_fail = 0, reads_fail = 0;  // as many, from now on
    int operations_left = -1;            // until the power goes; -1: it stays

    // Afterwards the disk is as a machine finds it that starts again.
    void crash(std::mt19937& random) {
        keep_some_names(random);
        names = durable_names;
        unsynced_names.clear();
        const unsigned manner = random() % 4;
        for (auto& [name, inode] : names) {
            if (manner != 3) inode->now = what_is_left(*inode, manner, random);
            inode->durable = inode->now;
            inode->unsynced.clear();
        }
        operations_left = -1;
        syncs_fail = full = false;
    }

    static void apply(std::string& bytes, const Inode::Change& change) {
        if (change.truncation) {
            bytes.resize(change.offset);
        } else {
            if (bytes.size() < change.offset + change.data.size()) {
                bytes.resize(change.offset + change.data.size());
            }
            bytes.replace(change.offset, change.data.size(), change.data);
        }
    }

    Result<> operation() {
        if (operations_left == 0) return fail(Error::Kind::internal, "the power is off");
        if (operations_left > 0) --operations_left;
        return {};
    }

    static Result<> fails(int& left) {
        if (left == 0) return {};
        --left;
        return fail(Error::Kind::internal, "injected: Too many open files");
    }

    void rename(NameChange change) {
        change_name(names, change);
        unsynced_names.push_back(std::move(change));
    }

    std::unique_ptr<Storage> storage();

  private:
    // Changes of one file's name keep their order. Those of different files do so every other time only.
    void keep_some_names(std::mt19937& random) {
        const bool in_order = random() % 2 == 0;
        const std::size_t kept = random() % (unsynced_names.size() + 1);
        std::map<const Inode*, std::size_t> kept_of;
        for (const NameChange& change : unsynced_names) ++kept_of[change.inode.get()];
        for (auto& [inode, count] : kept_of) count = random() % (count + 1);
        for (std::size_t i = 0; i < unsynced_names.size(); ++i) {
            const NameChange& change = unsynced_names[i];
            std::size_t& left = kept_of[change.inode.get()];
            if (in_order ? i >= kept : left == 0) continue;
            if (!in_order) --left;
            change_name(durable_names, change);
        }
    }

    static void change_name(Names& in, const NameChange& change) {
        const auto gone = in.find(change.gone);
        if (gone != in.end() && gone->second == change.inode) in.erase(gone);
        if (!change.added.empty()) in[change.added] = change.inode;
    }

    // Manner 0: nothing unsynced. 1: a beginning, torn at a byte. 2: any pieces, some of them torn.
    static std::string what_is_left(const Inode& inode, unsigned manner, std::mt19937& random) {
        std::string bytes = inode.durable;
        if (manner == 0 || inode.unsynced.empty()) return bytes;
        const std::size_t last = random() % inode.unsynced.size();
        for (std::size_t i = 0; i < inode.unsynced.size(); ++i) {
            const Inode::Change& change = inode.unsynced[i];
            if (manner == 1 && i == last) {
                if (!change.truncation) {
                    apply(bytes,
                          {false, change.offset, change.data.substr(0, random() % (change.data.size() + 1))});
                }
                break;
            }
            if (manner == 1 || change.truncation) {
                apply(bytes, change);
                continue;
            }
            for (std::size_t at = 0; at < change.data.size();) {
                const std::size_t size =
                    std::min<std::size_t>(512 - (change.offset + at) % 512, change.data.size() - at);
                std::string piece = change.data.substr(at, size);
                if (random() % 8 == 0) piece.resize(random() % (size + 1));
                if (random() % 4 != 0) apply(bytes, {false, change.offset + at, piece});
                at += size;
            }
        }
        return bytes;
    }
};

class LossyFile final : public File {
  public:
    LossyFile(LossyDisk& disk, std::shared_ptr<LossyDisk::Inode> inode)
        : disk_(disk), inode_(std::move(inode)) {}

    Result<> write(std::uint64_t offset, std::string_view data) override {
        if (disk_.full && offset + data.size() > inode_->now.size()) {
            return fail(Error::Kind::unavailable, "full");
        }
        return change({false, offset, std::string(data)});
    }
    Result<std::size_t> read(std::uint64_t offset, std::span<char> into) const override {
        if (Result<> works = LossyDisk::fails(disk_.reads_fail); !works) {
            return std::unexpected(works.error());
        }
        if (offset >= inode_->now.size()) return std::size_t{0};
        return inode_->now.copy(into.data(), into.size(), offset);
    }
    Result<> sync() override {
        if (Result<> on = disk_.operation(); !on) return on;
        if (disk_.syncs_fail) return fail(Error::Kind::internal, "sync: Input/output error");
        inode_->durable = inode_->now;
        inode_->unsynced.clear();
        return {};
    }
    Result<> allocate(std::uint64_t bytes) override {
        if (disk_.full && bytes > inode_->now.size()) return fail(Error::Kind::unavailable, "full");
        return change({true, std::max<std::uint64_t>(bytes, inode_->now.size()), {}});
    }
    Result<> truncate(std::uint64_t bytes) override { return change({true, bytes, {}}); }
    Result<std::uint64_t> size() const override { return inode_->now.size(); }
    void will_need(std::uint64_t, std::uint64_t) const override {}

  private:
    Result<> change(LossyDisk::Inode::Change change) {
        if (Result<> on = disk_.operation(); !on) return on;
        LossyDisk::apply(inode_->now, change);
        inode_->unsynced.push_back(std::move(change));
        return {};
    }

    LossyDisk& disk_;
    std::shared_ptr<LossyDisk::Inode> inode_;
};

class LossyStorage final : public Storage {
  public:
    explicit LossyStorage(LossyDisk& disk) : disk_(disk) {}

    Result<std::unique_ptr<File>> open(const std::string& name, bool create) override {
        if (Result<> works = LossyDisk::fails(disk_.opens_fail); !works) {
            return std::unexpected(works.error());
        }
        const auto found = disk_.names.find(name);
        if (found != disk_.names.end()) return std::make_unique<LossyFile>(disk_, found->second);
        if (!create) return fail(Error::Kind::not_found, name + " is not there");
        if (Result<> on = disk_.operation(); !on) return std::unexpected(on.error());
        auto inode = std::make_shared<LossyDisk::Inode>();
        disk_.rename({inode, "", name});
        return std::make_unique<LossyFile>(disk_, inode);
    }
    Result<> rename(const std::string& from, const std::string& to) override {
        if (Result<> on = disk_.operation(); !on) return on;
        disk_.rename({disk_.names.at(from), from, to});
        return {};
    }
    Result<> remove(const std::string& name) override {
        if (Result<> on = disk_.operation(); !on) return on;
        const auto found = disk_.names.find(name);
        if (found != disk_.names.end()) disk_.rename({found->second, name, ""});
        return {};
    }
    Result<> sync_names() override {
        if (Result<> on = disk_.operation(); !on) return on;
        disk_.durable_names = disk_.names;
        disk_.unsynced_names.clear();
        return {};
    }
    Result<std::vector<std::string>> list() override {
        std::vector<std::string> names;
        for (const auto& [name, inode] : disk_.names) names.push_back(name);
        return names;
    }
    std::string path(const std::string& name) const override { return "queue/" + name; }
    std::uint64_t free_bytes() const override { return disk_.full ? 0 : 1u << 30; }

  private:
    LossyDisk& disk_;
};

inline std::unique_ptr<Storage> LossyDisk::storage() {
    return std::make_unique<LossyStorage>(*this);
}

}  // namespace havn::broker
