#include "engine/text/jinja/parser.h"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "engine/text/jinja/expression_parser.h"
#include "engine/text/jinja/lexer.h"
#include "engine/text/jinja/token_stream.h"

namespace baton::jinja {
namespace {

constexpr int kMaxBlockNesting = 50;

std::set<std::string> MacroNames(const std::vector<Token>& tokens) {
  std::set<std::string> names;
  for (size_t i = 0; i + 2 < tokens.size(); ++i) {
    if (tokens[i].kind == TokenKind::kBlockBegin && tokens[i + 1].text == "macro")
      names.insert(tokens[i + 2].text);
  }
  return names;
}

class Parser {
 public:
  Parser(std::vector<Token> tokens, const std::set<std::string>& macros)
      : tokens_(std::move(tokens)), expressions_(tokens_, macros) {}

  absl::StatusOr<Body> ParseAll() {
    BATON_ASSIGN_OR_RETURN(Body body, ParseBody({}));
    if (!tokens_.Is(TokenKind::kEnd)) return tokens_.Invalid("unexpected end of a block");
    return body;
  }

 private:
  using Ends = std::initializer_list<absl::string_view>;

  // Up to a block that starts with one of `ends`, of which the beginning is left to be read.
  absl::StatusOr<Body> ParseBody(Ends ends) {
    if (++nesting_ > kMaxBlockNesting) return tokens_.Invalid("blocks nest too deeply");
    Body body;
    while (!tokens_.Is(TokenKind::kEnd)) {
      if (tokens_.Is(TokenKind::kBlockBegin)) {
        const Token& name = tokens_.Peek(1);
        if (std::find(ends.begin(), ends.end(), name.text) != ends.end()) break;
        BATON_ASSIGN_OR_RETURN(StatementPtr block, ParseBlock());
        body.push_back(std::move(block));
        continue;
      }
      const Token token = tokens_.Next();
      StatementPtr statement = New(StatementKind::kText);
      if (token.kind == TokenKind::kText) {
        statement->text = token.text;
      } else {
        statement->kind = StatementKind::kPrint;
        BATON_RETURN_IF_ERROR(AddExpression(*statement, expressions_.Parse()));
        BATON_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kPrintEnd, "", "'}}'"));
      }
      body.push_back(std::move(statement));
    }
    --nesting_;
    return body;
  }

  absl::StatusOr<StatementPtr> ParseBlock() {
    tokens_.Next();
    if (!tokens_.Is(TokenKind::kName)) return tokens_.Invalid("expected a block's name");
    const std::string name = tokens_.Peek().text;
    if (name == "if") return ParseIf();
    if (name == "for") return ParseFor();
    if (name == "set") return ParseSet();
    if (name == "macro") return ParseMacro();
    if (name == "break" || name == "continue") return ParseJump(name == "break");
    if (name == "generation") return ParseGeneration();
    if (name == "elif" || name == "else" || name.rfind("end", 0) == 0) {
      return tokens_.Invalid(absl::StrCat("unexpected block '", name, "'"));
    }
    return tokens_.Unknown(absl::StrCat("block '", name, "'"));
  }

  absl::StatusOr<StatementPtr> ParseIf() {
    StatementPtr statement = New(StatementKind::kIf);
    while (tokens_.TakeName("if") || tokens_.TakeName("elif")) {
      BATON_RETURN_IF_ERROR(AddExpression(*statement, expressions_.Parse()));
      BATON_RETURN_IF_ERROR(EndOfBlock());
      BATON_RETURN_IF_ERROR(AddBody(*statement, {"elif", "else", "endif"}));
      tokens_.Next();
    }
    if (tokens_.TakeName("else")) {
      BATON_RETURN_IF_ERROR(EndOfBlock());
      BATON_RETURN_IF_ERROR(AddBody(*statement, {"endif"}));
      tokens_.Next();
    }
    BATON_RETURN_IF_ERROR(End("endif"));
    return statement;
  }

  absl::StatusOr<StatementPtr> ParseFor() {
    StatementPtr statement = New(StatementKind::kFor);
    tokens_.Next();
    BATON_RETURN_IF_ERROR(AddTargets(*statement));
    BATON_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kName, "in", "'in'"));
    BATON_RETURN_IF_ERROR(AddExpression(*statement, expressions_.ParseNoConditional()));
    if (tokens_.TakeName("if")) {
      BATON_RETURN_IF_ERROR(AddExpression(*statement, expressions_.Parse()));
    }
    if (tokens_.IsName("recursive")) return tokens_.Unknown("a recursive loop");
    BATON_RETURN_IF_ERROR(EndOfBlock());
    ++loops_;
    BATON_RETURN_IF_ERROR(AddBody(*statement, {"else", "endfor"}));
    --loops_;
    tokens_.Next();
    if (tokens_.TakeName("else")) {
      BATON_RETURN_IF_ERROR(EndOfBlock());
      BATON_RETURN_IF_ERROR(AddBody(*statement, {"endfor"}));
      tokens_.Next();
    }
    BATON_RETURN_IF_ERROR(End("endfor"));
    return statement;
  }

  absl::StatusOr<StatementPtr> ParseSet() {
    StatementPtr statement = New(StatementKind::kSet);
    tokens_.Next();
    BATON_RETURN_IF_ERROR(AddTargets(*statement));
    if (tokens_.TakeOperator(".")) {
      if (!tokens_.Is(TokenKind::kName)) return tokens_.Invalid("expected a name after '.'");
      statement->kind = StatementKind::kSetField;
      statement->text = tokens_.Next().text;
    }
    if (tokens_.TakeOperator("=")) {
      BATON_RETURN_IF_ERROR(AddExpression(*statement, expressions_.Parse()));
      BATON_RETURN_IF_ERROR(EndOfBlock());
      return statement;
    }
    if (tokens_.IsOperator("|")) return tokens_.Unknown("a set block with a filter");
    if (statement->kind == StatementKind::kSetField) return tokens_.Unknown("a set block into a field");
    BATON_RETURN_IF_ERROR(EndOfBlock());
    BATON_RETURN_IF_ERROR(AddBody(*statement, {"endset"}));
    tokens_.Next();
    BATON_RETURN_IF_ERROR(End("endset"));
    return statement;
  }

  absl::StatusOr<StatementPtr> ParseMacro() {
    StatementPtr statement = New(StatementKind::kMacro);
    tokens_.Next();
    if (!tokens_.Is(TokenKind::kName)) return tokens_.Invalid("expected a macro's name");
    statement->text = tokens_.Next().text;
    BATON_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kOperator, "(", "'('"));
    while (tokens_.Is(TokenKind::kName)) {
      statement->targets.push_back(tokens_.Next().text);
      if (tokens_.TakeOperator("=")) {
        BATON_RETURN_IF_ERROR(AddExpression(*statement, expressions_.ParseSingle()));
      } else if (!statement->expressions.empty()) {
        return tokens_.Invalid("a parameter without a default follows one with");
      }
      if (!tokens_.TakeOperator(",")) break;
    }
    BATON_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kOperator, ")", "')'"));
    BATON_RETURN_IF_ERROR(EndOfBlock());
    const int loops = std::exchange(loops_, 0);
    BATON_RETURN_IF_ERROR(AddBody(*statement, {"endmacro"}));
    loops_ = loops;
    tokens_.Next();
    BATON_RETURN_IF_ERROR(End("endmacro"));
    return statement;
  }

  absl::StatusOr<StatementPtr> ParseJump(bool is_break) {
    if (loops_ == 0) return tokens_.Invalid("break or continue outside a loop");
    StatementPtr statement = New(is_break ? StatementKind::kBreak : StatementKind::kContinue);
    tokens_.Next();
    BATON_RETURN_IF_ERROR(EndOfBlock());
    return statement;
  }

  absl::StatusOr<StatementPtr> ParseGeneration() {
    StatementPtr statement = New(StatementKind::kGroup);
    tokens_.Next();
    BATON_RETURN_IF_ERROR(EndOfBlock());
    BATON_RETURN_IF_ERROR(AddBody(*statement, {"endgeneration"}));
    tokens_.Next();
    BATON_RETURN_IF_ERROR(End("endgeneration"));
    return statement;
  }

  absl::Status AddTargets(Statement& statement) {
    do {
      if (tokens_.IsOperator("(")) return tokens_.Unknown("a target in parentheses");
      if (!tokens_.Is(TokenKind::kName)) return tokens_.Invalid("expected a name to assign to");
      statement.targets.push_back(tokens_.Next().text);
    } while (tokens_.TakeOperator(","));
    return absl::OkStatus();
  }

  static absl::Status AddExpression(Statement& statement, absl::StatusOr<ExpressionPtr> expression) {
    BATON_RETURN_IF_ERROR(expression.status());
    statement.expressions.push_back(*std::move(expression));
    return absl::OkStatus();
  }

  // Leaves the cursor on the '{%' of the block that ends it.
  absl::Status AddBody(Statement& statement, Ends ends) {
    BATON_ASSIGN_OR_RETURN(Body body, ParseBody(ends));
    if (tokens_.Is(TokenKind::kEnd)) {
      return absl::InvalidArgumentError(absl::StrCat("line ", statement.line, ": a block has no end"));
    }
    statement.bodies.push_back(std::move(body));
    return absl::OkStatus();
  }

  absl::Status EndOfBlock() { return tokens_.Expect(TokenKind::kBlockEnd, "", "'%}'"); }

  absl::Status End(absl::string_view name) {
    BATON_RETURN_IF_ERROR(tokens_.Expect(TokenKind::kName, name, absl::StrCat("'", name, "'")));
    return EndOfBlock();
  }

  StatementPtr New(StatementKind kind) const {
    auto statement = std::make_unique<Statement>();
    statement->kind = kind;
    statement->line = tokens_.Peek().line;
    return statement;
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  int nesting_ = 0;
  int loops_ = 0;
};

}  // namespace

absl::StatusOr<Body> ParseTemplate(absl::string_view source) {
  if (source.size() > kMaxTemplateBytes) return absl::InvalidArgumentError("the template is too long");
  BATON_ASSIGN_OR_RETURN(std::vector<Token> tokens, Lex(source));
  const std::set<std::string> macros = MacroNames(tokens);
  return Parser(std::move(tokens), macros).ParseAll();
}

}  // namespace baton::jinja
