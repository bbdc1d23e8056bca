// Any ATen operator, by name: its schema is decoded once, then each call fills a stack and goes through the dispatcher.
#include "engine.h"

#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/masked_fill.h>
#include <ATen/ops/remainder.h>
#include <torch/library.h>

#include <cmath>

namespace sightline {

enum class Kind { Tensor, Tensors, OptionalTensors, Scalar, Int, Ints, Float, Floats, Bool, Bools, Text, Device, Generator };

struct Parameter {
  std::string name;
  Kind kind;
  bool optional;
  int64_t fixedLength;  // of an int[n]: one number stands for n equal ones; 0 where the length is free
};

struct Operator {
  Environment& environment;
  c10::OperatorHandle handle;
  std::vector<Parameter> parameters;  // what a call passes, in its order
  std::vector<int> given;             // for each argument of the library's schema: which parameter it is, or -1 for the default
  c10::Stack defaults, stack;         // the stack is reused from call to call
};

static Kind kindOf(const c10::TypePtr& type, const std::string& name) {
  switch (type->kind()) {
    case c10::TypeKind::TensorType: return Kind::Tensor;
    case c10::TypeKind::NumberType: return Kind::Scalar;
    case c10::TypeKind::IntType: case c10::TypeKind::SymIntType: return Kind::Int;
    case c10::TypeKind::FloatType: return Kind::Float;
    case c10::TypeKind::BoolType: return Kind::Bool;
    case c10::TypeKind::StringType: return Kind::Text;
    case c10::TypeKind::DeviceObjType: return Kind::Device;
    case c10::TypeKind::GeneratorType: return Kind::Generator;
    case c10::TypeKind::ListType: {
      const auto element = type->containedType(0);
      switch (element->kind()) {
        case c10::TypeKind::TensorType: return Kind::Tensors;
        case c10::TypeKind::OptionalType: return Kind::OptionalTensors;
        case c10::TypeKind::IntType: case c10::TypeKind::SymIntType: return Kind::Ints;
        case c10::TypeKind::FloatType: return Kind::Floats;
        case c10::TypeKind::BoolType: return Kind::Bools;
        default: break;
      }
      break;
    }
    default: break;
  }
  throw std::invalid_argument("argument `" + name + "` has the type " + type->str() + ", which Sightline does not pass");
}

static c10::IValue toIValue(napi_env env, Environment& environment, const Parameter& parameter, napi_value value) {
  int32_t handle;  // the common case first
  if (parameter.kind == Kind::Tensor && napi_get_value_int32(env, value, &handle) == napi_ok) return environment.tensors.get(handle);
  if (isNullish(env, value)) {
    if (parameter.optional) return c10::IValue();
    throw std::invalid_argument("missing");
  }
  switch (parameter.kind) {
    case Kind::Tensor: return environment.tensors.get(toHandle(env, value));
    case Kind::Tensors: {
      c10::List<at::Tensor> list;
      for (auto& tensor : toTensors(env, value)) {
        if (!tensor.defined()) throw std::invalid_argument("expected tensors only");
        list.push_back(std::move(tensor));
      }
      return list;
    }
    case Kind::OptionalTensors: {
      c10::List<std::remove_const_t<decltype(c10::IValue().toOptional<at::Tensor>())>> list;
      for (auto& tensor : toTensors(env, value)) {
        if (tensor.defined()) list.push_back(std::move(tensor));
        else list.push_back({});
      }
      return list;
    }
    case Kind::Scalar: {
      napi_valuetype type;
      check(env, napi_typeof(env, value, &type));
      if (type == napi_boolean) return at::Scalar(toBool(env, value));
      if (type == napi_bigint) return at::Scalar(toInt64(env, value));
      // JavaScript has one number type: an integral value is passed as an integer, as a literal would be in Python.
      const double number = toDouble(env, value);
      const bool integral = std::nearbyint(number) == number && std::fabs(number) <= 9007199254740992.0 && !(number == 0 && std::signbit(number));
      return integral ? at::Scalar(static_cast<int64_t>(number)) : at::Scalar(number);
    }
    case Kind::Int: return toInt64(env, value);
    case Kind::Ints: {
      bool isArray;
      check(env, napi_is_array(env, value, &isArray));
      if (isArray) return c10::IValue(toInts(env, value));
      if (parameter.fixedLength < 1) throw std::invalid_argument("expected an array of integers");
      return c10::IValue(std::vector<int64_t>(parameter.fixedLength, toInt64(env, value)));
    }
    case Kind::Float: return toDouble(env, value);
    case Kind::Floats: {
      std::vector<double> list;
      uint32_t length;
      if (napi_get_array_length(env, value, &length) != napi_ok) throw std::invalid_argument("expected an array of numbers");
      for (uint32_t i = 0; i < length; i++) {
        napi_value element;
        check(env, napi_get_element(env, value, i, &element));
        list.push_back(toDouble(env, element));
      }
      return c10::IValue(list);
    }
    case Kind::Bool: return toBool(env, value);
    case Kind::Bools: {
      c10::List<bool> list;
      uint32_t length;
      if (napi_get_array_length(env, value, &length) != napi_ok) throw std::invalid_argument("expected an array of booleans");
      for (uint32_t i = 0; i < length; i++) {
        napi_value element;
        check(env, napi_get_element(env, value, i, &element));
        list.push_back(toBool(env, element));
      }
      return list;
    }
    case Kind::Text: return toString(env, value);
    case Kind::Device: return at::Device(toString(env, value));
    case Kind::Generator: return findGenerator(environment, toInt64(env, value));
  }
  throw std::logic_error("unreachable");
}

static napi_value fromIValue(napi_env env, Environment& environment, c10::IValue& value) {
  napi_value result;
  if (value.isTensor() && value.toTensor().defined()) {
    check(env, napi_create_int32(env, environment.tensors.add(std::move(value).toTensor()), &result));
    return result;
  }
  if (value.isTensor()) return fromTensor(env, at::Tensor());
  if (value.isTensorList()) return fromTensors(env, value.toTensorVector());
  if (value.isInt()) return fromDouble(env, value.toInt());
  if (value.isDouble()) return fromDouble(env, value.toDouble());
  if (value.isBool()) {
    check(env, napi_get_boolean(env, value.toBool(), &result));
    return result;
  }
  if (value.isNone()) return undefined(env);
  throw std::runtime_error("the operator returned " + value.tagKind() + ", which Sightline does not read");
}

static napi_value call(const Arguments& args) {
  const auto env = args.env;
  auto& op = *static_cast<Operator*>(args.data);
  auto& stack = op.stack;
  struct Emptied {  // an error must not leave tensors on the stack until the next call
    c10::Stack& stack;
    ~Emptied() { stack.clear(); }
  } emptied{stack};
  for (size_t position = 0; position < op.defaults.size(); position++) {
    const int given = op.given[position];
    if (given < 0 || given >= static_cast<int>(args.count)) {
      stack.push_back(op.defaults[position]);
      continue;
    }
    const auto& parameter = op.parameters[given];
    try {
      stack.push_back(toIValue(env, op.environment, parameter, args.at(given)));
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument("argument `" + parameter.name + "`: " + error.what());
    }
  }
  op.handle.callBoxed(&stack);
  napi_value result = undefined(env);
  if (stack.size() == 1) result = fromIValue(env, op.environment, stack[0]);
  if (stack.size() > 1) {
    check(env, napi_create_array_with_length(env, stack.size(), &result));
    for (size_t i = 0; i < stack.size(); i++) check(env, napi_set_element(env, result, i, fromIValue(env, op.environment, stack[i])));
  }
  return result;
}

// operator(name, overload, argument names, default values) → a function that takes those arguments in that order; what is not named
// keeps the library's default. Its property `least` says how many must be passed: the defaults of those after are the library's own.
// An operator or an argument that this libtorch lacks is an error that shows the library's own schema.
static napi_value createOperator(const Arguments& args) {
  const auto env = args.env;
  const auto name = toString(env, args.at(0)), overload = toString(env, args.at(1));
  const auto found = c10::Dispatcher::singleton().findSchema({name, overload});
  if (!found) throw std::invalid_argument("this libtorch (" TORCH_VERSION ") has no operator " + name + (overload.empty() ? "" : "." + overload));
  auto op = std::make_shared<Operator>(Operator{environment(env), *found, {}, {}, {}, {}});
  const auto& schema = found->schema();
  const auto& arguments = schema.arguments();
  for (const auto& argument : arguments) op->defaults.push_back(argument.default_value() ? *argument.default_value() : c10::IValue());

  uint32_t length;
  if (napi_get_array_length(env, args.at(2), &length) != napi_ok) throw std::invalid_argument("expected an array of names");
  op->given.assign(arguments.size(), -1);
  uint32_t least = 0;
  for (uint32_t i = 0; i < length; i++) {
    napi_value element, value;
    check(env, napi_get_element(env, args.at(2), i, &element));
    check(env, napi_get_element(env, args.at(3), i, &value));
    const auto wanted = toString(env, element);
    const auto position = schema.argumentIndexWithName(wanted);
    if (!position) throw std::invalid_argument("this libtorch's operator has no argument `" + wanted + "`: " + c10::toString(schema));
    const auto& argument = arguments[*position];
    auto type = argument.type();
    const bool optional = type->kind() == c10::TypeKind::OptionalType;
    if (optional) type = type->containedType(0);
    op->parameters.push_back({wanted, kindOf(type, wanted), optional, argument.N() ? *argument.N() : 0});
    op->given[*position] = i;
    napi_valuetype valueType;
    check(env, napi_typeof(env, value, &valueType));
    const bool own = valueType != napi_undefined && argument.default_value() &&
        toIValue(env, op->environment, op->parameters.back(), value) == *argument.default_value();
    if (!own) least = i + 1;
  }
  for (size_t i = 0; i < arguments.size(); i++)
    if (op->given[i] < 0 && !arguments[i].default_value())
      throw std::invalid_argument("argument `" + arguments[i].name() + "` has no default: " + c10::toString(schema));

  napi_value function;
  check(env, napi_create_function(env, name.c_str(), name.size(), exported<call>, op.get(), &function));
  setProperty(env, function, "least", fromDouble(env, least));
  environment(env).operators.push_back(std::move(op));
  return function;
}

// Modulo −1 is modulo 1 for integers; libtorch 1.13 divides the lowest integer by −1 instead, which ends the process with SIGFPE.
TORCH_LIBRARY_FRAGMENT(sightline, library) {
  library.def("remainder.Scalar(Tensor self, Scalar other) -> Tensor", [](const at::Tensor& self, const at::Scalar& other) {
    const bool trap = at::isIntegralType(self.scalar_type(), true) && other.isIntegral(false) && other.to<int64_t>() == -1;
    return at::remainder(self, trap ? at::Scalar(1) : other);
  });
  library.def("remainder.Tensor(Tensor self, Tensor other) -> Tensor", [](const at::Tensor& self, const at::Tensor& other) {
    const bool integral = at::isIntegralType(self.scalar_type(), true) && at::isIntegralType(other.scalar_type(), false);
    return at::remainder(self, integral ? at::masked_fill(other, at::eq(other, -1), 1) : other);
  });
}

void defineOperators(napi_env env, napi_value exports) {
  define(env, exports, "operator", exported<createOperator>);
}

}  // namespace sightline
