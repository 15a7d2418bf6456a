// The canonical form: the table of keys, walked over a manifest.
#include "manifest/keys.h"
#include "manifest/manifest.h"

namespace havn::manifest {
namespace {

Json table_of(std::string_view pattern, Target target) {
    Json table = Json::object();
    for (const auto* key : keys_of(pattern)) {
        if (key->applies != nullptr && !key->applies(target)) continue;
        if (auto value = value_of(*key, key->slot(target)); !value.is_null())
            table[key->name] = std::move(value);
    }
    for (const auto* child : children(pattern)) {
        if (child->named) table[child->key] = Json::object();
        for (const auto& [name, element] : child->each(target)) {
            if (child->named)
                table[child->key][name] = table_of(child->pattern, element);
            else
                table[child->key] = table_of(child->pattern, element);
        }
    }
    return table;
}

}  // namespace

Json to_json(const Manifest& manifest) {
    Manifest copy = manifest;  // targets are not const
    return table_of("", &copy);
}

}  // namespace havn::manifest
