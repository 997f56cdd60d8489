// Messages as JSON: what is written, and what is read and checked on its way in (fields.h).
//
//   json request = {{"op", "mkdir"}};
//   Write(wire::Mkdir{.name = "a"}, request);
//   wire::Mkdir asked;
//   TRY(Read(request, asked));      // EPROTO: 'name' is missing
#ifndef CORRAL_WIRE_CODEC_H_
#define CORRAL_WIRE_CODEC_H_

#include <corral/result.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "wire/fields.h"

namespace corral::wire {

// Adds the fields of a message to an object. A list that is there already goes on: long lists are
// sent in pieces, of which the last is still there.
void Write(AnyMessage message, nlohmann::json& object);

// EPROTO, with the name of the first field that is missing or of another type, which is then as it
// was before. Members that the message does not know are passed over.
Result<void> Read(const nlohmann::json& object, AnyMessage message);

// A request as it goes into a frame.
std::string RequestText(const char* op, AnyMessage ask);

// What came in one. The error that it tells, or EPROTO.
Result<nlohmann::json> ParseAnswer(std::string_view text);

// As it goes into a frame. What is no UTF-8 all the same is replaced: it must not end us.
std::string TextOf(const nlohmann::json& value);

}  // namespace corral::wire

#endif  // CORRAL_WIRE_CODEC_H_
