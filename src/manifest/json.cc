// The canonical form: the table of keys, walked over a manifest.
#include "manifest/keys.h"
#include "manifest/manifest.h"
#include "manifest/syntax/redact.h"

namespace havn::manifest {
namespace {

using Shown = Json (*)(const Key& key, Json value);

Json as_it_is(const Key&, Json value) {
    return value;
}

// What `env` and `users` set may be secret whatever it looks like.
Json redacted(const Key& key, Json value) {
    if (value.is_string()) return redact_urls(value.get_ref<const std::string&>());
    if (!value.is_structured()) return value;
    for (Json& element : value) element = key.type == Type::env ? Json(hidden) : redacted(key, element);
    return value;
}

Json table_of(std::string_view pattern, Target target, Shown shown) {
    Json table = Json::object();
    for (const Key* key : keys_of(pattern)) {
        if (key->applies && !key->applies(target)) continue;
        if (Json value = value_of(*key, key->slot(target)); !value.is_null()) {
            table[key->name] = shown(*key, std::move(value));
        }
    }
    for (const Section* child : children(pattern)) {
        if (child->named) table[child->key] = Json::object();
        for (const auto& [name, element] : child->each(target)) {
            if (child->named) {
                table[child->key][name] = table_of(child->pattern, element, shown);
            } else {
                table[child->key] = table_of(child->pattern, element, shown);
            }
        }
    }
    return table;
}

}  // namespace

Json to_json(const Manifest& manifest) {
    Manifest copy = manifest;  // targets are not const
    return table_of("", &copy, as_it_is);
}

Json redacted_json(const Manifest& manifest) {
    Manifest copy = manifest;
    return table_of("", &copy, redacted);
}

}  // namespace havn::manifest
