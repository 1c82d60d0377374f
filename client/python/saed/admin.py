"""Users, their tokens, the audit log and backups."""

from saed.v1 import admin_pb2

_QUOTA = [f.name for f in admin_pb2.Quota.DESCRIPTOR.fields]


def _user(name):
    return name if name.startswith("users/") or not name else f"users/{name}"


def _token(name):
    return name if name.startswith("tokens/") else f"tokens/{name}"


def _role(name):
    names = [n[len("ROLE_"):].lower() for n in admin_pb2.Role.keys()
             if not n.endswith("UNSPECIFIED")]
    if name not in names:
        raise ValueError(f"role: is {name!r}; must be one of {', '.join(names)}")
    return admin_pb2.Role.Value("ROLE_" + name.upper())


def _check_quota(quota):
    wrong = [k for k in quota if k not in _QUOTA]
    if wrong:
        raise ValueError(f"quota: names {', '.join(wrong)}; must name some of {', '.join(_QUOTA)}")


class AdminCalls:
    """Of a Client. whoami, tokens of one's own: for everyone; the rest: for administrators."""

    def whoami(self):
        """Who the server takes you for, what holds for you and what you have: the answer of
        GetUser, with `user`, `limits` and `holdings`."""
        return self._call(self.admin.GetUser, admin_pb2.GetUserRequest())

    def user(self, name):
        """The same of any user."""
        return self._call(self.admin.GetUser, admin_pb2.GetUserRequest(name=_user(name)))

    def list_users(self, limit=None):
        return list(self._pages(self.admin.ListUsers, admin_pb2.ListUsersRequest(), "users", limit))

    def create_user(self, name, role="member", share=1.0, **quota):
        """Makes a user and returns it. role: "reader", "member" or "admin"; share: their part of
        the machine against the others'; quota: threads, running_jobs, unfinished_jobs,
        stored_bytes, requests_per_second, 0 for no limit, left out for that of everyone."""
        _check_quota(quota)
        user = admin_pb2.User(name=_user(name), role=_role(role), share=share,
                              quota=admin_pb2.Quota(**quota))
        return self._call(self.admin.CreateUser, admin_pb2.CreateUserRequest(user=user)).user

    def update_user(self, name, role=None, share=None, disabled=None, **quota):
        """Changes what is given of a user, and returns it. quota: as of create_user; None makes one
        that of everyone again."""
        _check_quota(quota)
        request = admin_pb2.UpdateUserRequest(user=admin_pb2.User(
            name=_user(name), role=_role(role) if role else 0, share=share or 0,
            disabled=bool(disabled),
            quota=admin_pb2.Quota(**{k: v for k, v in quota.items() if v is not None})))
        given = {"role": role, "share": share, "disabled": disabled}
        request.update_mask.paths.extend(
            [k for k, v in given.items() if v is not None] + [f"quota.{k}" for k in quota])
        if not request.update_mask.paths:
            raise ValueError("nothing is to change; give role, share, disabled or a quota")
        return self._call(self.admin.UpdateUser, request).user

    def delete_user(self, name, reassign_to=""):
        """Takes a user away for good; their tokens are refused at once, and nobody gets the name
        again. reassign_to: the user whose what they have becomes, private things too; needed where
        they have any. Returns what that was (Holdings)."""
        return self._call(self.admin.DeleteUser, admin_pb2.DeleteUserRequest(
            name=_user(name), reassign_to=_user(reassign_to))).reassigned

    def create_token(self, user="", note="", days=0):
        """A new token, as (secret, token): the secret is what connect() takes, and is shown here
        and nowhere else. user: "" for yourself, others for administrators. days: 0 for 365, or for
        as long as the token lasts with which you ask."""
        answer = self._call(self.admin.CreateToken, admin_pb2.CreateTokenRequest(
            user=_user(user), note=note, valid_days=days))
        return answer.secret, answer.token

    def list_tokens(self, user="", limit=None):
        """Tokens without their secrets, newest first. user: "" for all that you may see: your own,
        for administrators everyone's."""
        return list(self._pages(self.admin.ListTokens,
                                admin_pb2.ListTokensRequest(user=_user(user)), "tokens", limit))

    def revoke_token(self, token, with_made=False):
        """Refuses a token, by its name or id, from now on; with_made: also those that were made
        with it and with those, for administrators of whichever user, for others their own. Returns
        how many that were not revoked before."""
        return self._call(self.admin.RevokeToken, admin_pb2.RevokeTokenRequest(
            name=_token(token), with_made=with_made)).revoked

    def audit(self, user="", limit=100):
        """What was changed or refused, newest first. user: only what they did; limit: None for
        all."""
        return list(self._pages(self.admin.ListAuditRecords,
                                admin_pb2.ListAuditRecordsRequest(user=_user(user)), "records",
                                limit))

    def backup(self, directory):
        """Writes a consistent copy of everything into a new folder on the server's machine, while
        jobs run. Returns the answer, with `bytes` and `objects`."""
        return self._call(self.admin.CreateBackup,
                          admin_pb2.CreateBackupRequest(directory=directory))
