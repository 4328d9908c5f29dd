"""What an admission followed from, so that the very same head can be admitted again without asking the policies anew."""

from __future__ import annotations

from dataclasses import dataclass

from .chain import Chain
from .claim import Claim
from .policy import Reusable
from .question import Admit
from .verified import Credential


@dataclass(frozen=True, slots=True)
class Precedent:
    """The same head from the same place leads to the same `question`, as long as `holds` says so and the records of its basis
    are leased. Whether what is demanded is there is another matter."""

    question: Admit
    authenticator: Reusable | None
    claim: Claim | None
    until: float | None

    @classmethod
    def of(cls, chain: Chain, question: Admit, credential: Credential | None) -> Precedent | None:
        """None where the next request with this head may be decided otherwise."""
        principal = question.call.principal
        authenticator = None if credential is None else credential.authenticator
        if authenticator not in chain.foreseen or principal.nonce is not None or question.call.body is not None:
            return None
        if credential is None:
            return cls(question, None, None, None)
        # What is not asked again whether it holds is not kept: it quotes what the client has sent.
        claim = None if credential.reusable is None else credential.claim
        return cls(question, credential.reusable, claim, principal.until)

    def holds(self, now: float) -> bool:
        """Whether the credential still does, at `now` in seconds since 1970."""
        if self.until is not None and now >= self.until:
            return False
        authenticator, claim = self.authenticator, self.claim
        return authenticator is None or claim is None or authenticator.holds(claim, now)
