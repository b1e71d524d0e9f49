// People and their organisations, in the form in which the API tells of them.
import { createHash } from "node:crypto";

/** The same name always gets the same identifier, so that tests can compare across restarts. */
function identifier(text) {
  const hex = createHash("sha256").update(text).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

export class Accounts {
  #known = new Map();

  /** @param {{email: string, name?: string, organization?: string, plan?: string, role?: string, isOnHold?: boolean}} person */
  add({ email, name = email.split("@")[0], organization = `${email}'s organization`, plan = "claude_max", role = "admin" }) {
    const account = {
      email,
      name,
      uuid: identifier(`account ${email}`),
      organization: { uuid: identifier(`organization ${organization}`), name: organization, plan },
      role,
    };
    this.#known.set(email, account);
    return account;
  }

  /** @returns the account of this address, the first one when none is given, undefined when there is none */
  find(email) {
    return email ? this.#known.get(email) : this.all()[0];
  }

  all() {
    return [...this.#known.values()];
  }
}

const SINCE = "2026-01-01T00:00:00.000000Z";

/** What `/api/oauth/profile` answers. */
export function profileOf({ email, name, uuid, organization }) {
  return {
    account: { uuid, email, full_name: name, display_name: name, has_claude_max: organization.plan === "claude_max", has_claude_pro: organization.plan === "claude_pro", created_at: SINCE },
    organization: {
      uuid: organization.uuid,
      name: organization.name,
      organization_type: organization.plan,
      billing_type: "stripe_subscription",
      rate_limit_tier: "default_claude_max_5x",
      seat_tier: null,
      has_extra_usage_enabled: false,
      subscription_status: "active",
      subscription_created_at: SINCE,
      cc_onboarding_flags: {},
      claude_code_trial_ends_at: null,
      claude_code_trial_duration_days: null,
    },
  };
}

/** What `/api/oauth/claude_cli/roles` answers. */
export function rolesOf({ organization, role }) {
  return { organization_uuid: organization.uuid, organization_name: organization.name, organization_role: role, workspace_uuid: null, workspace_name: null, workspace_role: null };
}

/** How a token's answer names its owner. */
export function ownerOf({ email, uuid, organization }) {
  return { account: { uuid, email_address: email }, organization: { uuid: organization.uuid, name: organization.name } };
}
