//! Renders the TypeScript types, the protocol reference and the settings' schema from the contract.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use ts_rs::{Config, TS};

use crate::contract::METHODS;
use crate::error::ErrorCode;
use crate::{EVENT_METHOD, PROTOCOL_VERSION, SUBSCRIBE_METHOD, UNSUBSCRIBE_METHOD};
use crate::{catalog, config, credentials, error, event, operation, params, sandbox};

const HEADER: &str = "Generated from server/protocol by `make generate`. Do not edit.";

fn ts_config() -> Config {
    Config::new().with_large_int("number")
}

macro_rules! declarations {
    ($cfg:expr, $($ty:ty),+ $(,)?) => {
        vec![$((<$ty as TS>::name($cfg), <$ty as TS>::decl($cfg), <$ty as TS>::docs())),+]
    };
}

fn types(cfg: &Config) -> Vec<(String, String, Option<String>)> {
    use {
        crate::credentials::*, crate::egress::*, crate::git::*, crate::login::*, catalog::*, config::*, error::*,
        event::*, operation::*, params::*, sandbox::*,
    };
    declarations!(
        cfg,
        Empty,
        HelloParams,
        HelloResult,
        EngineStatus,
        DaemonStatus,
        DaemonStopParams,
        ProjectParams,
        DoctorParams,
        SandboxFilter,
        SandboxRef,
        EnsureParams,
        EnsureAction,
        EnsureResult,
        RemoveParams,
        SandboxCount,
        LogsParams,
        LogsResult,
        ExecParams,
        ExecResult,
        AttachParams,
        AttachTarget,
        StatsSample,
        PruneParams,
        PruneReport,
        ImageBuildParams,
        ImageInfo,
        TemplateInfo,
        TemplateOption,
        TemplateInsertParams,
        TemplateInsertResult,
        CheckStatus,
        DoctorCheck,
        DoctorReport,
        Lifetime,
        ImageVariant,
        Network,
        WorkspacePath,
        SshAgent,
        SandboxConfig,
        EgressConfig,
        EgressRule,
        EgressLimits,
        EgressAction,
        ConfigSource,
        ConfigReport,
        ApproveParams,
        SandboxState,
        Health,
        Enforcement,
        SandboxInfo,
        MountInfo,
        Limits,
        SandboxDetail,
        HealthCheck,
        EgressLayer,
        PlacedRule,
        EgressVia,
        EgressDecision,
        EgressAsk,
        EgressAnswer,
        EgressDecideParams,
        EgressForgetParams,
        EgressBypassParams,
        EgressTestParams,
        EgressVerdict,
        EgressLogParams,
        RuleHits,
        PresetInfo,
        EgressReport,
        CredentialMode,
        CredentialSource,
        ClientEnvironment,
        CredentialsParams,
        StoredCredential,
        Secret,
        CredentialsSetParams,
        CredentialsSignOutParams,
        CredentialsSetModeParams,
        CredentialSide,
        CredentialsResolveParams,
        CredentialHealth,
        CredentialAccount,
        CredentialUse,
        CredentialSourceReport,
        CredentialModeReport,
        CredentialsStatus,
        GitAsk,
        GitAnswer,
        GitApproval,
        GitReport,
        GitDecideParams,
        GitRevokeParams,
        LoginKind,
        LoginStartParams,
        LoginCodeParams,
        LoginAcceptParams,
        LoginAsk,
        OperationStarted,
        OperationParams,
        Cancelled,
        OperationSummary,
        OutcomeKind,
        OperationEnd,
        Metric,
        Stream,
        Action,
        ErrorCode,
        RpcError,
        SubscribeParams,
        Event,
    )
}

/// The TypeScript module: every type, the table of methods, the tables of errors.
#[must_use]
pub fn typescript() -> String {
    let cfg = ts_config();
    let mut out = format!("// {HEADER}\n\n");
    for (_, declaration, docs) in types(&cfg) {
        if let Some(docs) = docs {
            out.push_str(docs.trim_end());
            out.push('\n');
        }
        let _ = writeln!(out, "export {declaration}\n");
    }
    out.push_str(
        "/** Every request: its parameters, its direct answer, and what the operation it starts ends with. */\n",
    );
    out.push_str("export interface Methods {\n");
    for method in METHODS {
        let _ = writeln!(out, "  /** {} */", method.doc.trim().replace('\n', " "));
        let outcome = method.outcome.map_or_else(|| "never".to_owned(), |name| name(&cfg));
        let _ = writeln!(
            out,
            "  \"{}\": {{ params: {}; result: {}; outcome: {outcome} }};",
            method.name,
            (method.params)(&cfg),
            (method.result)(&cfg),
        );
    }
    out.push_str("}\n\nexport type MethodName = keyof Methods;\n\n");
    out.push_str("/** Names of the requests, by the name of their type in the server. */\nexport const methods = {\n");
    for method in METHODS {
        let _ = writeln!(out, "  {}: \"{}\",", lower_first(method.rust_name), method.name);
    }
    out.push_str("} as const satisfies Record<string, MethodName>;\n\n");
    let _ = writeln!(out, "export const protocolVersion = {PROTOCOL_VERSION};");
    let _ = writeln!(out, "export const eventMethod = \"{EVENT_METHOD}\";");
    let _ = writeln!(out, "export const subscribeMethod = \"{SUBSCRIBE_METHOD}\";\n");
    out.push_str(
        "/** Variables of the environment that a client looks for and sends as `ClientEnvironment`. */\nexport const credentialVariables = [\n",
    );
    for variable in credentials::ENVIRONMENT {
        let _ = writeln!(out, "  \"{}\",", variable.name);
    }
    out.push_str("] as const;\n\n");
    out.push_str("/** JSON-RPC numbers of the stable error codes. */\nexport const errorNumbers: Record<ErrorCode, number> = {\n");
    for code in ErrorCode::ALL {
        let _ = writeln!(out, "  \"{}\": {},", code.as_str(), code.number());
    }
    out.push_str("};\n");
    out
}

fn lower_first(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + chars.as_str())
}

/// The protocol reference in Markdown.
#[must_use]
pub fn reference() -> String {
    let cfg = ts_config();
    let mut out = format!(
        "# Protocol reference\n\n<!-- {HEADER} -->\n\nVersion {PROTOCOL_VERSION}. JSON-RPC 2.0, each `params` one \
         object, over a WebSocket on the daemon's Unix socket (named pipe on Windows), and verbatim through `boxwood lsp` on \
         standard input and output. On the socket, `{SUBSCRIBE_METHOD}` opens the event subscription and \
         `{UNSUBSCRIBE_METHOD}` closes it; `boxwood lsp` sends events as `{EVENT_METHOD}` notifications.\n\n## Methods\n\n\
         | method | params | answers | ends with |\n|---|---|---|---|\n"
    );
    for method in METHODS {
        let outcome = method.outcome.map_or_else(String::new, |name| format!("`{}`", name(&cfg)));
        let _ = writeln!(
            out,
            "| `{}`<br>{} | `{}` | `{}` | {outcome} |",
            method.name,
            method.doc.trim().replace('\n', " "),
            (method.params)(&cfg),
            (method.result)(&cfg),
        );
    }
    out.push_str("\n## Errors\n\nThe message of a JSON-RPC error says what failed; its `data` is an `RpcError`.\n\n| code | number | exit status | meaning | next step |\n|---|---|---|---|---|\n");
    for code in ErrorCode::ALL {
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {} |",
            code.as_str(),
            code.number(),
            code.exit_code(),
            code.doc().trim(),
            code.hint().unwrap_or(""),
        );
    }
    out.push_str("\n## Types\n\n```ts\n");
    for (_, declaration, docs) in types(&cfg) {
        if let Some(docs) = docs {
            out.push_str(docs.trim_end());
            out.push('\n');
        }
        let _ = writeln!(out, "{declaration}\n");
    }
    out.push_str("```\n");
    out
}

/// JSON Schema of `.boxwood/sandbox.jsonc` and of the user's `sandbox.jsonc`.
#[must_use]
pub fn config_schema() -> Value {
    let mut schema = schemars::schema_for!(config::SandboxConfig).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("$comment".into(), HEADER.into());
        object.insert("title".into(), "Boxwood sandbox".into());
        if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("$schema".into(), json!({ "type": "string" }));
        }
    }
    schema
}

/// The `contributes.configuration` properties of the editor extension: each setting as `boxwood.<name>`.
#[must_use]
pub fn editor_settings() -> Value {
    let schema = schemars::schema_for!(config::SandboxConfig).to_value();
    let definitions = schema.get("$defs").cloned().unwrap_or_default();
    let mut settings = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    for (order, (name, property)) in properties.into_iter().flatten().enumerate() {
        settings.insert(format!("boxwood.{name}"), editor_setting(property, &definitions, order));
    }
    Value::Object(settings)
}

fn editor_setting(property: &Value, definitions: &Value, order: usize) -> Value {
    let mut setting = Map::new();
    let description = property.get("description").cloned().unwrap_or_default();
    setting.insert("markdownDescription".into(), description);
    setting.insert("order".into(), json!(order + 10));
    setting.insert("scope".into(), "machine".into());
    let reference = property
        .get("anyOf")
        .and_then(|any| any.get(0))
        .and_then(|first| first.get("$ref"))
        .and_then(Value::as_str)
        .and_then(|path| path.rsplit('/').next());
    let definition = reference.and_then(|name| definitions.get(name));
    if definition.is_some_and(|definition| definition.get("properties").is_some()) {
        // The editor shows an object in its settings file, where the server checks what stands in it.
        setting.insert("type".into(), json!(["object", "null"]));
    } else if let Some(definition) = definition {
        let choices = definition.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_default();
        let pick = |key: &str| choices.iter().filter_map(|choice| choice.get(key).cloned()).collect::<Vec<_>>();
        setting.insert("type".into(), json!(["string", "null"]));
        let mut values = pick("const");
        values.push(Value::Null);
        setting.insert("enum".into(), Value::Array(values));
        let mut descriptions = pick("description");
        descriptions.push(json!("Not set here."));
        setting.insert("enumDescriptions".into(), Value::Array(descriptions));
    } else {
        for key in ["type", "items", "additionalProperties", "minimum"] {
            if let Some(value) = property.get(key) {
                setting.insert(key.into(), value.clone());
            }
        }
    }
    if let Some(value) = property.get("default").filter(|value| !value.is_null()) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if let Some(Value::String(description)) = setting.get_mut("markdownDescription") {
            let _ = write!(description, " Default: `{text}`.");
        }
    }
    setting.insert("default".into(), Value::Null);
    Value::Object(setting)
}
