"""GameOptimizer: a training method as a ``torch.optim.Optimizer``."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy, deepcopy
from dataclasses import fields, is_dataclass
from typing import Any

import torch

from separatrix.dynamics.bases import Base
from separatrix.dynamics.convert import Given, bases_of
from separatrix.dynamics.live_step import LiveStep, Step
from separatrix.dynamics.loss_scaling import backed_off, grown
from separatrix.dynamics.method import Method, check_parts
from separatrix.dynamics.schemes import SCHEME, Scheme, Simultaneous, States
from separatrix.dynamics.transforms import Transform
from separatrix.dynamics.wrapped import WrappedBase
from separatrix.errors import InputError, NonFiniteError
from separatrix.fields import Game

_FORMAT = 1


class GameOptimizer(torch.optim.Optimizer):
    """Trains the modules of a game: ``step = opt.step(batch)``, and nothing else to keep books of.

    It computes the gradients itself, so ``loss.backward()`` and ``zero_grad`` are not needed (and do no harm). Methods that
    evaluate once can also take gradients from ``.grad``: ``opt.step()`` without a batch. There is
    one parameter group a player, with the settings of its base under their names in ``torch.optim``; learning-rate
    schedulers act on them. A tensor that several players move stands in the group of its first owner.

    Args:
        game: whose modules are trained.
        bases: an optimizer class of ``torch.optim`` with ``settings``, one of sx's bases, or either, or an existing
            optimizer (its state is taken over, it is left as it is: give schedulers this optimizer), by player. Or a whole
            :class:`Method`, such as ``advice.method``, which has bases, scheme and transforms.
        scheme: where the field is evaluated and what is committed.
        transforms: of the field, first one first.
        states: of the bases, by player (and of the scheme), from a training or a measurement; fresh or taken over ones where
            ``None``.
        settings: for a class: ``lr`` and so on.

    Raises:
        InputError: no game, no bases, a player without a base, a scheme that does not fit the players, an optimizer that does
            not hold the player's parameters, a scheme or transform that is none.

    Example:
        >>> from separatrix.fields import Game
        >>> x, y = torch.tensor([1.0]), torch.tensor([2.0])
        >>> game = Game({"x": x, "y": y}, lambda m, batch: (m["x"] * m["y"]).sum())
        >>> opt = GameOptimizer(game, torch.optim.SGD, lr=0.1)
        >>> opt.step(None).losses["x"], x.tolist(), y.tolist()
        ({'loss': 2.0}, [0.800000011920929], [2.0999999046325684])
    """

    def __init__(
        self,
        game: Game,
        bases: Given | Mapping[str, Given] | Method | None = None,
        *,
        scheme: Scheme | None = None,
        transforms: tuple[Transform, ...] = (),
        states: States | None = None,
        **settings: Any,
    ) -> None:
        given = _checked(type(self).__name__, game, bases)
        if isinstance(given, Method):
            if scheme is not None or transforms or settings:
                raise InputError(
                    "a Method has bases, scheme and transforms of its own, and others were given besides it: "
                    "sx.optim.GameOptimizer(game, method) takes it as it is."
                )
            scheme, transforms, given = given.scheme, tuple(given.transforms), given.bases
        self.game = game
        self.scheme = Simultaneous() if scheme is None else scheme
        check_parts(self.scheme, transforms)
        self.transforms = tuple(transforms)
        self.scheme.check(game.players)
        for transform in self.transforms:
            transform.check(game.players)
        self._bases, self._states = bases_of(given, game, **settings)
        self.scheme.check_setting(game.space, self._bases)
        self._live = LiveStep(game)
        if memory := self.scheme.memory(game.space, self._live.field.point):
            self._states[SCHEME] = memory
        if states is not None:
            for owner in self._states:
                if owner != SCHEME or SCHEME in states:  # states measured elsewhere may know nothing of the scheme
                    self._check_state(owner, states.get(owner))
            self._states = {owner: states.get(owner, own) for owner, own in self._states.items()}
        self._steps = 0
        groups = []
        for player in game.players:
            held = [i for i in game.space.owned(player) if game.space.entries[i].owners[0] == player]
            named = [(game.space.entries[i].name, game.parameters[i]) for i in held]
            groups.append({"params": named, "player": player, **_settings(self._bases[player])})
        # Defaults would be added to every group, so only what all bases share goes there; OneCycleLR looks for momentum.
        shown = [_settings(base) for base in self._bases.values()]
        super().__init__(
            [g for g in groups if g["params"]], {k: v for k, v in shown[0].items() if all(k in s for s in shown)}
        )
        for group in groups:
            if not group["params"]:
                self.param_groups.append({**group, "params": [], "param_names": []})
        self.param_groups.sort(key=lambda g: game.players.index(g["player"]))

    @property
    def method(self) -> Method:
        """The method as it runs now, with the groups' settings: what a measurement needs to know."""
        groups = {g["player"]: g for g in self.param_groups}
        return Method({p: _with(b, groups[p]) for p, b in self._bases.items()}, self.scheme, self.transforms)

    @property
    def states(self) -> States:
        """The bases' states by player, and the scheme's; steps make new ones and leave these alone."""
        return self._states

    def step(self, *batches: Any, scaler: torch.amp.GradScaler | None = None) -> Step:  # type: ignore[override]
        """One step of the method.

        Args:
            batches: one for each draw of the scheme (alternating players with ``fresh`` draws take one a move); the
                last one serves again, with a new random draw, where there are fewer. A batch in parts is
                ``Accumulated([first, second])``. Without any, the gradients that ``loss.backward()`` left in ``.grad`` are taken,
                by methods that evaluate once, where the modules stand: accumulation and ``scaler.step(opt)`` then work as with
                any torch optimizer.
            scaler: losses are multiplied by its scale, and gradients divided by it before anything else sees them. A step that
                overflows is skipped and lowers the scale; ``scaler.update()`` is not needed.

        Raises:
            NonFiniteError: a loss, gradient or step is not finite; names player and tensor.
            UnsupportedOperatorError: the method needs second derivatives and the losses have none, or wrong ones.
            InputError: the losses are at fault, or no batch was given to a method that needs one.

        Whatever is raised, modules and state are as they were. Cost: ``Step.gradients``.
        """
        if scaler is not None and not isinstance(scaler, torch.amp.GradScaler):
            raise InputError(f"scaler must be a torch.amp.GradScaler, got a {type(scaler).__name__}.")
        if scaler is not None and scaler.is_enabled():
            return self._scaled_step(batches, scaler)
        return self._plain_step(batches)

    def _plain_step(self, batches: tuple[Any, ...]) -> Step:
        self._states, result = self._live.step(self.method, self._states, batches, self._steps)
        self._steps += 1
        return result

    def _scaled_step(self, batches: tuple[Any, ...], scaler: torch.amp.GradScaler) -> Step:
        if not batches:
            raise InputError(
                "a scaler goes with a batch; gradients that stand in .grad are scaled by scaler.step(opt)."
            )
        self._live.field.loss_scale = scaler.get_scale()
        try:
            result = self._plain_step(batches)
        except NonFiniteError as error:
            backed_off(scaler)
            return Step(self._steps, {}, float("nan"), {}, float("nan"), skipped=str(error))
        finally:
            self._live.field.loss_scale = 1.0
        grown(scaler)
        return result

    def state_dict(self) -> dict[str, Any]:
        """Groups and states, loadable with ``weights_only=True``; a round trip in mid-run is bitwise."""
        packed = super().state_dict()
        packed["separatrix"] = {"format": _FORMAT, "steps": self._steps, "states": dict(self._states)}
        return packed

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a state of ``state_dict``.

        Raises:
            InputError: it is another optimizer's, or of other players or sizes; nothing is loaded then.
        """
        own = state_dict.get("separatrix")
        if own is None:
            raise InputError(
                "this state_dict is not one of a GameOptimizer; to take over a torch optimizer's state load it there and "
                "give that optimizer as the player's base."
            )
        states = deepcopy(own["states"])
        for owner in self._states:
            self._check_state(owner, states.get(owner))
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "separatrix"})
        self._states = {owner: _placed(states[owner], own) for owner, own in self._states.items()}
        self._steps = int(own["steps"])

    def _check_state(self, player: str, state: Mapping[str, Any] | None) -> None:
        present = self._states[player]
        whose = f"player {player!r}" if player != SCHEME else f"the scheme {self.scheme.name}"
        if state is None or set(state) != set(present):
            raise InputError(
                f"the given state has {sorted(state) if state else 'nothing'} for {whose}, which keeps "
                f"{sorted(present)} here; it was saved with other players, bases or scheme."
            )
        for name, tensor in present.items():
            if isinstance(tensor, torch.Tensor) and state[name].shape != tensor.shape:
                raise InputError(
                    f"{name!r} of {whose} has shape {tuple(state[name].shape)} in the given state, "
                    f"{tuple(tensor.shape)} here; it was saved with other modules."
                )

    def __getstate__(self) -> dict[str, Any]:
        return dict(vars(self))


def _checked(
    kind: str, game: Any, bases: Given | Mapping[str, Given] | Method | None
) -> Given | Mapping[str, Given] | Method:
    """The bases, where both arguments are of their kinds: parameters come first in ``torch.optim``, the game does here."""
    like = f"sx.optim.{kind}(game, torch.optim.Adam, lr=1e-3)"
    if not isinstance(game, Game):
        raise InputError(
            f"sx.optim.{kind} trains the players of a Game, so the Game comes first, without parameters(): {like}; got a "
            f"{type(game).__name__}."
        )
    if bases is None:
        raise InputError(
            f"sx.optim.{kind} needs to know how each player steps, as an optimizer's class with settings: {like}."
        )
    return bases


def _settings(base: Base) -> dict[str, Any]:
    """What a parameter group shows of a base."""
    if isinstance(base, WrappedBase):
        return {"lr": base.lr}
    return {f.name: getattr(base, f.name) for f in fields(base)} if is_dataclass(base) else {}


def _with(base: Base, group: Mapping[str, Any]) -> Base:
    """The base with the group's settings, where a scheduler has changed them.

    Raises:
        InputError: a negative or non-finite rate. A rate of 0, at which warm-ups start, is in order here.
    """
    changed = {k: _plain(group[k]) for k in _settings(base) if group[k] != getattr(base, k)}
    if not changed:
        return base
    lr = changed.get("lr", base.lr)
    if not 0 <= lr < float("inf"):
        raise InputError(
            f"the learning rate of player {group['player']!r} is {lr}; it must be finite and not negative."
        )
    if isinstance(base, WrappedBase):
        return base.with_lr(lr)
    other = copy(base)
    for name, value in changed.items():
        object.__setattr__(other, name, value)  # past the checks of the constructor, which wants a rate above 0
    return other


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, torch.Tensor) else tuple(value) if isinstance(value, list) else value


def _placed(state: dict[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """The loaded tensors on the device of the present ones."""
    return {k: v.to(like[k].device) if isinstance(like[k], torch.Tensor) else v for k, v in state.items()}
